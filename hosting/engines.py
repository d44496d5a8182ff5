"""Docker or Podman, by one interface: the SDK for what lives in the engine, the client program for builds and terminals."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.configuration import nearest
from engine.errors import InputError
from hosting.named import DOCKER, PATIENCE_S, PODMAN, Named, named_docker, named_engine, named_podman, said

if TYPE_CHECKING:
    from docker import DockerClient

KINDS = (DOCKER, PODMAN)
LABEL = "servelab.kit"
INSIDE = Path("/etc/servelab")
SOCKET = "/var/run/docker.sock"
ANSWER_S, WORK_S = 10, 600
SERVICE_IDLE_S = 30
NO_GPU_RUNTIME = {
    DOCKER: "docker has no NVIDIA runtime; install nvidia-container-toolkit, run"
    " `sudo nvidia-ctk runtime configure --runtime=docker` and restart Docker, or go without: `cli.py start --gpus none`.",
    PODMAN: "podman has no CDI specification of the GPUs; install nvidia-container-toolkit and run"
    " `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, or go without: `cli.py start --gpus none`.",
}
CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
FREE = "free some, as `docker system df` shows it, and type the same command again."
START = {DOCKER: "`sudo systemctl start docker`", PODMAN: "`systemctl --user start podman.socket`"}


@dataclass(frozen=True)
class Engine:
    """A container engine that answers. ``program`` is its client with the address, as in ("docker", "--host", "unix://...")."""

    kind: str
    api: DockerClient
    program: tuple[str, ...]
    facts: dict[str, Any] = field(repr=False)

    @property
    def version(self) -> str:
        return str(self.facts.get("ServerVersion") or "unknown")

    @property
    def root(self) -> Path | None:
        """Where images are kept, where that is a folder of this machine."""
        root = self.facts.get("DockerRootDir")
        return Path(root) if root and Path(root).exists() else None

    @property
    def rootless(self) -> bool:
        """Whether root in a container is the caller outside."""
        return os.geteuid() != 0 and any("rootless" in option for option in self.facts.get("SecurityOptions") or ())

    @property
    def gpus(self) -> bool:
        """Whether containers can be given NVIDIA GPUs: a runtime of NVIDIA's, its hook, or a CDI description."""
        described = any(list(folder.glob("*nvidia*")) for folder in CDI if folder.is_dir())
        if self.kind == PODMAN:
            return described
        runtime = "nvidia" in (self.facts.get("Runtimes") or {})
        return runtime or described or shutil.which("nvidia-container-runtime-hook") is not None


@dataclass(frozen=True)
class Found:
    """What there is of container engines; ``fault`` says in one sentence why none can be used."""

    engine: str | None = None
    version: str | None = None
    gpus: bool = False
    root: Path | None = None
    fault: str | None = None
    container: str | None = None
    images: tuple[str, ...] = ()
    builds: bool = False


def look() -> Found:
    """Looks for an engine that runs; changes nothing. Podman's service, where none listens, ends by itself again."""
    try:
        engine = connect()
        with answered(engine):
            running = engine.api.api.containers(filters={"label": LABEL, "status": "running"})
            images = engine.api.api.images(filters={"label": LABEL, "dangling": False})
    except InputError as error:
        return Found(fault=str(error))
    return Found(
        engine=engine.kind,
        version=engine.version,
        gpus=engine.gpus,
        root=engine.root,
        container=running[0]["Names"][0].lstrip("/") if running else None,
        images=tuple(sorted({image["Labels"][LABEL] for image in images})),
        builds=_builder(engine) is not None,
    )


def connect(kind: str | None = None) -> Engine:
    """The engine that answers: ``kind``, the one that the environment names, or Docker before Podman.

    InputError when none does; one that was named is never replaced by another.
    """
    if INSIDE.exists():
        raise InputError("this is the inside of the container; type this command on the host.")
    if kind is not None and kind not in KINDS:
        raise InputError(f"unknown engine {kind!r}; {nearest(kind, list(KINDS))}")
    named = named_engine() if kind is None else None
    kind = named.kind if named else kind
    if kind is not None:
        return _connect_podman() if kind == PODMAN else _connect_docker()
    try:
        return _connect_docker()
    except InputError:
        if shutil.which(PODMAN) is None:
            raise
    return _connect_podman()


def builder(engine: Engine) -> tuple[str, ...]:
    """The client that can build with secrets. InputError where there is none."""
    program = _builder(engine)
    if program is None:
        raise InputError(
            "the docker client here cannot build with BuildKit; install its buildx plugin (Debian and Ubuntu:"
            " `sudo apt-get install docker-buildx`), then type the same command again."
        )
    return program


@contextmanager
def answered(engine: Engine) -> Iterator[None]:
    """Turns what the engine refuses, and its silence, into one sentence."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import ConnectionError, ReadTimeout

    try:
        yield
    except APIError as error:
        reason = str(error.explanation or error).strip().rstrip(".")
        if "no space left on device" in reason:
            raise InputError(f"the disk of the {engine.kind} engine is full ({reason}); {FREE}") from error
        raise InputError(f"the {engine.kind} engine refused: {reason}; `cli.py status` shows what is there.") from error
    except (ConnectionError, ReadTimeout) as error:
        raise InputError(silence(engine)) from error
    except DockerException as error:
        raise InputError(f"{engine.kind} cannot be asked for that ({error}); correct the option.") from error


def silence(engine: Engine) -> str:
    """The sentence about an engine that stopped answering."""
    return f"the {engine.kind} engine stopped answering; start it ({START[engine.kind]}), then type the same command again."


def _connect_docker() -> Engine:
    named = named_docker()
    address = named.address if named else f"unix://{SOCKET}"
    program = shutil.which(DOCKER)
    if program is None and not named and not Path(SOCKET).is_socket():
        raise InputError("no container engine was found; install Docker or Podman, then look with `cli.py doctor`.")
    api, facts = _open(address, DOCKER, named)
    return Engine(DOCKER, api, (program or DOCKER, "--host", address), facts)


def _connect_podman() -> Engine:
    program = shutil.which(PODMAN)
    if program is None:
        raise InputError("podman was not found; install it, or name another engine with --engine docker.")
    if named := named_podman():
        api, facts = _open(named.address, PODMAN, named)
        return Engine(PODMAN, api, (program,), facts)
    try:
        api, facts = _open(f"unix://{_podman_folder() / 'podman.sock'}", PODMAN)
    except InputError:
        api, facts = _open(_serve_podman(program), PODMAN)
    return Engine(PODMAN, api, (program,), facts)


def _podman_folder() -> Path:
    """Where podman's sockets are. InputError for a user without a folder for them."""
    if os.geteuid() == 0:
        return Path("/run/podman")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        raise InputError(
            "podman without root keeps its socket in XDG_RUNTIME_DIR, which is not set; log in with a session of your own,"
            " or type `export XDG_RUNTIME_DIR=/run/user/$(id -u)`."
        )
    return Path(runtime) / "podman"


def _serve_podman(program: str) -> str:
    """Podman has no daemon: this is a service that ends by itself after a while without requests.

    InputError with its last words when it ends at once, or where its socket cannot be.
    """
    path = _podman_folder() / "servelab.sock"
    if _listens(path):
        return f"unix://{path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        where = f"podman's socket cannot be at {path} ({error.strerror})"
        raise InputError(f"{where}; set XDG_RUNTIME_DIR to a folder of yours.") from error
    command = [program, "system", "service", "--time", str(SERVICE_IDLE_S), f"unix://{path}"]
    with tempfile.TemporaryFile() as words:
        service = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
        until = time.monotonic() + PATIENCE_S
        while not _listens(path) and service.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if service.poll() is not None and not _listens(path):
            words.seek(0)
            last = words.read().decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
            raise InputError(f"podman's service ended as it started ({last[0]}); mend that, then type the same command again.")
    return f"unix://{path}"


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _open(address: str, kind: str, named: Named | None = None) -> tuple[DockerClient, dict[str, Any]]:
    """The SDK's client and what the engine says of itself. InputError with the way out when it does not answer."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    called = f"the {kind} engine at {address}" + (f", which {named.by} names" if named else "")
    try:
        with_patience = docker.DockerClient(base_url=address, timeout=ANSWER_S)
        facts = with_patience.info()
        return docker.DockerClient(base_url=address, timeout=WORK_S), facts
    except (DockerException, RequestException, OSError, ValueError) as error:
        if "Permission denied" in str(error):
            raise InputError(
                f"this user may not talk to {called}; join its group with"
                " `sudo usermod -aG docker $USER`, log in again, and type the same command again."
            ) from error
        comma = "," if named else ""
        raise InputError(f"{called}{comma} does not answer; start it ({START[kind]}).") from error


def _builder(engine: Engine) -> tuple[str, ...] | None:
    """Clients before 23 have BuildKit in them; later ones need the buildx plugin, and another client may be installed too."""
    if engine.kind == PODMAN:
        return engine.program
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for program in dict.fromkeys(filter(None, (shutil.which(DOCKER, path=folder) for folder in folders))):
        version = said([program, "version", "--format", "{{.Client.Version}}"], engine.program[-1])
        major = (version or "").partition(".")[0]
        if (major.isdecimal() and int(major) < 23) or said([program, "buildx", "version"], engine.program[-1]):
            return (program, *engine.program[1:])
    return None
