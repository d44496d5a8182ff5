"""Starting a container: which image, which GPUs, which folders of the host."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from hosting import living
from hosting.building import CPU, CUDA, choose_target, find_image, tag
from hosting.engines import LABEL, NO_GPU_RUNTIME, Engine, answered
from hosting.gpus import check_driver, find_driver
from hosting.named import PODMAN
from hosting.ports import owner
from hosting.sessions import PLACE, caller
from hosting.settings import NAME

if TYPE_CHECKING:
    from docker.types import DeviceRequest, Mount

IDLE = ("bash", "-c", "trap exit TERM INT; while :; do sleep 86400 & wait $!; done")
CACHE, MODELS = "/home/servelab/.cache", "/models"
ALL_GPUS, NO_GPUS = "all", "none"
SIZE = re.compile(r"\d+[bkmg]?", re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """What a person asks of a container; None takes what was remembered, or what this machine has."""

    target: str | None = None
    name: str | None = None
    engine: str | None = None
    models: Path | None = None
    gpus: str | None = None
    shm: str = "8g"
    memory: str | None = None
    cpus: float | None = None
    port: int | None = None


def choose_image(engine: Engine, wish: Wish) -> dict[str, Any]:
    """The image asked for, or the one that suits this machine. InputError when it was not built."""
    if wish.target is not None:
        targets = [choose_target(wish.target)]
    else:
        targets = [CUDA, CPU] if wish.gpus != NO_GPUS and engine.gpus and find_driver() is not None else [CPU, CUDA]
    images = (find_image(engine, target) for target in targets)
    image = next((image for image in images if image is not None), None)
    if image is None:
        lacking = f"the image {tag(targets[0])} was not built" if wish.target else "no image of the kit was built"
        raise InputError(f"{lacking}; build it with `cli.py build --target {targets[0]}`.")
    return image


def digest(engine: Engine, wish: Wish, image: dict[str, Any], models: Path) -> str:
    """A digest of all that makes one container differ from another."""
    whole = [image["Id"], str(models), caller(engine), wish.gpus, wish.shm, wish.memory, wish.cpus, wish.port]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def create(engine: Engine, wish: Wish, image: dict[str, Any], checkout: Path, models: Path, name: str) -> None:
    """Makes and starts the container; one that cannot start is removed again. InputError for what is taken or missing."""
    target = image["Labels"][LABEL]
    for option, size in (("--shm", wish.shm), ("--memory", wish.memory)):
        if size is not None and not SIZE.fullmatch(size):
            raise InputError(f"{option} {size} is no size; give one as in 8g or 512m.")
    devices = _devices(engine, wish, target)
    if wish.port is not None and (whose := owner(wish.port)) is not None:
        raise InputError(f"port {wish.port} is taken by {whose}; choose another with --port.")
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{models} cannot hold the models ({error.strerror}); name another folder with --models.") from error
    marks = {LABEL: target, living.CHECKOUT: str(checkout), living.OWNER: getpass.getuser()}
    marks[living.ASKED] = digest(engine, wish, image, models)
    with answered(engine):
        engine.api.volumes.create(f"{name}-cache", labels={LABEL: "cache", living.CHECKOUT: str(checkout)})
        container = engine.api.containers.create(
            image["Id"], list(IDLE), name=name, hostname=NAME, labels=marks, user=caller(engine), working_dir=str(PLACE),
            mounts=_mounts(checkout, models, name), shm_size=wish.shm, mem_limit=wish.memory,
            nano_cpus=None if wish.cpus is None else round(wish.cpus * 1e9), security_opt=["no-new-privileges"],
            userns_mode="keep-id" if engine.rootless and engine.kind == PODMAN else None,
            ports={} if wish.port is None else {f"{wish.port}/tcp": ("127.0.0.1", wish.port)}, **devices,
        )
        try:
            container.start()
        except BaseException:
            container.remove(force=True)
            raise


def _mounts(checkout: Path, models: Path, name: str) -> list[Mount]:
    from docker.types import Mount

    binds = [Mount(place, str(folder), type="bind") for place, folder in ((str(PLACE), checkout), (MODELS, models))]
    return [*binds, Mount(CACHE, f"{name}-cache", type="volume")]


def _devices(engine: Engine, wish: Wish, target: str) -> dict[str, list[DeviceRequest] | list[str]]:
    """The GPUs as the engine takes them. InputError when some are wanted and driver or engine cannot give them."""
    from docker.types import DeviceRequest

    wanted = wish.gpus or (ALL_GPUS if target == CUDA else NO_GPUS)
    if wanted == NO_GPUS:
        return {}
    check_driver(find_driver())
    if not engine.gpus:
        raise InputError(NO_GPU_RUNTIME[engine.kind])
    numbers = None if wanted == ALL_GPUS else wanted.split(",")
    if engine.kind == PODMAN:
        return {"devices": [f"nvidia.com/gpu={number}" for number in numbers or [ALL_GPUS]]}
    request = DeviceRequest(count=-1 if numbers is None else 0, device_ids=numbers, capabilities=[["gpu"]])
    return {"device_requests": [request]}


