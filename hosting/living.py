"""What lives in an engine under the kit's label: containers, images, volumes. Nothing without the label is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError
from hosting.building import SOURCES
from hosting.engines import LABEL, Engine, answered

CHECKOUT, OWNER, ASKED = "servelab.checkout", "servelab.owner", "servelab.asked"
CONTAINER, IMAGE, VOLUME = "container", "image", "volume"
RUNNING = "running"
COMMANDS = """
for place in /proc/[0-9]*; do
    number=${place#/proc/}
    [ "$number" = 1 ] || [ "$number" = $$ ] || tr '\\0' ' ' <"$place/cmdline" && echo
done 2>/dev/null
"""


@dataclass(frozen=True)
class Thing:
    """A container, image or volume of the kit; ``bytes`` is what goes with it, None where the engine does not tell."""

    kind: str
    id: str
    name: str
    bytes: int | None
    state: str = ""
    checkout: str = ""


def things(engine: Engine) -> list[Thing]:
    """Everything with the kit's label, in the order in which it can go."""
    with answered(engine):
        ours = {"label": LABEL}
        containers = engine.api.api.containers(all=True, size=True, filters=ours)
        images = engine.api.api.images(filters=ours)
        volumes = engine.api.api.volumes(filters=ours)["Volumes"] or []
        sizes = {row["Name"]: row.get("UsageData") or {} for row in engine.api.df().get("Volumes") or []} if volumes else {}
    by_age = sorted(containers, key=lambda row: row["Created"])
    found = [
        Thing(CONTAINER, row["Id"], _name(row), row.get("SizeRw") or 0, row["Status"], row["Labels"].get(CHECKOUT, ""))
        for row in by_age
    ]
    found += [Thing(IMAGE, row["Id"], _tag(row), row["Size"]) for row in images]
    found += [Thing(VOLUME, row["Name"], row["Name"], sizes.get(row["Name"], {}).get("Size")) for row in volumes]
    return found


def remove(engine: Engine, thing: Thing) -> None:
    """Removes a thing; one that is gone already, or going, is no fault. InputError when something else holds it."""
    from docker.errors import APIError, NotFound

    with answered(engine):
        try:
            if thing.kind == CONTAINER:
                engine.api.api.remove_container(thing.id, force=True, v=True)
            elif thing.kind == IMAGE:
                engine.api.api.remove_image(thing.id, force=True)
            else:
                engine.api.api.remove_volume(thing.id)
        except NotFound:
            return
        except APIError as error:
            if "already in progress" not in str(error.explanation):
                raise


@contextmanager
def replaced(engine: Engine, name: str, old: dict[str, Any] | None) -> Iterator[None]:
    """Makes room for a container of this name; the old one goes once the new one is there, and stays if that fails."""
    if old is None:
        yield
        return
    with answered(engine):
        engine.api.api.rename(old["Id"], f"{name}-replaced")
    try:
        yield
    except BaseException:
        with answered(engine):
            engine.api.api.rename(old["Id"], name)
        raise
    remove(engine, Thing(CONTAINER, old["Id"], name, None))


def find_container(engine: Engine, name: str) -> dict[str, Any] | None:
    """The engine's description of the container with this name, whoever's it is; None where there is none."""
    from docker.errors import NotFound

    with answered(engine):
        try:
            return dict(engine.api.api.inspect_container(name))
        except NotFound:
            return None


def is_running(container: dict[str, Any] | None) -> bool:
    return container is not None and container["State"]["Status"] == RUNNING


def labels(container: dict[str, Any]) -> dict[str, str]:
    return container["Config"]["Labels"] or {}


def check_ours(container: dict[str, Any], checkout: str) -> None:
    """InputError with the owner's name when the container is another's."""
    name, marks = container["Name"].lstrip("/"), labels(container)
    if LABEL not in marks:
        image = container["Config"]["Image"]
        raise InputError(f"the name {name} is taken by a container of {image}, not the kit's; choose another with --name.")
    if marks.get(CHECKOUT) != checkout:
        whose = f"{marks.get(OWNER, 'someone')}'s checkout {marks.get(CHECKOUT, 'elsewhere')}"
        raise InputError(f"the container {name} belongs to {whose}; choose another with --name, or stop it there.")


def usage(engine: Engine, container: str) -> dict[str, Any]:
    """Cores in use, bytes of memory, and the commands that run besides those that keep the container alive."""
    with answered(engine):
        read = engine.api.api.stats(container, stream=False)
        asked = engine.api.api.exec_create(container, ["sh", "-c", COMMANDS])
        listed = engine.api.api.exec_start(asked["Id"]).decode(errors="replace")
    now, before = read["cpu_stats"], read["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"].get("total_usage", 0)
    whole = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    return {
        "cores": round(spent / whole * now.get("online_cpus", 1), 2) if whole > 0 else None,
        "memory_bytes": read["memory_stats"].get("usage"),
        "commands": [line.strip() for line in listed.splitlines() if line.strip() and not line.startswith("sleep ")],
    }


def wait_until_up(engine: Engine, container: str, seconds: float = 60.0) -> None:
    """InputError with the container's last words unless it runs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = find_container(engine, container)
        if is_running(state):
            return
        if state is None or state["State"]["Status"] in ("exited", "dead", "removing"):
            break
        time.sleep(0.05)
    with answered(engine):
        said = engine.api.api.logs(container, tail=3).decode(errors="replace").strip()
    raise InputError(f"the container did not start ({said or 'no word'}); look with `cli.py doctor`.")


def stays_up(engine: Engine, container: str, seconds: float) -> bool:
    """Whether the container runs, and still does after so many seconds: the engine learns late of a kill."""
    until = time.monotonic() + seconds
    while is_running(find_container(engine, container)):
        if time.monotonic() >= until:
            return True
        time.sleep(0.05)
    return False


def is_stale(image: dict[str, Any], digest: str) -> bool:
    """Whether the image was built from other files than the checkout has now."""
    return (image["Labels"] or {}).get(SOURCES) != digest


def _tag(row: dict[str, Any]) -> str:
    untagged = f"untagged {row['Id'].removeprefix('sha256:')[:12]}"
    return next((tag for tag in row["RepoTags"] or () if "<none>" not in tag), untagged)


def _name(row: dict[str, Any]) -> str:
    return str((row["Names"] or [row["Id"][:12]])[0]).lstrip("/")
