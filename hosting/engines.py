"""Docker or Podman, by one interface: the SDK for what lives in the engine, the client program for builds and terminals."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.configuration import nearest
from engine.errors import InputError

if TYPE_CHECKING:
    from docker import DockerClient

DOCKER, PODMAN = "docker", "podman"
KINDS = (DOCKER, PODMAN)
LABEL = "servelab.kit"
INSIDE = Path("/etc/servelab")
SOCKET = "/var/run/docker.sock"
ANSWER_S, START_S, WORK_S = 10, 60, 600
DEFAULT = "default"
NAMES_DOCKER = ("DOCKER_HOST", "DOCKER_CONTEXT")
NAMES_PODMAN = ("CONTAINER_HOST", "CONTAINER_CONNECTION")
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
    kind = kind or _named_kind()
    if kind is not None:
        return _connect_podman() if kind == PODMAN else _connect_docker()
    try:
        return _connect_docker()
    except InputError:
        if shutil.which(PODMAN) is None:
            raise
    return _connect_podman()


def _named_kind() -> str | None:
    """The kind of the engine that a person named in the environment or chose as the client's context."""
    if any(os.environ.get(name) for name in NAMES_DOCKER) or _chosen_context() != DEFAULT:
        return DOCKER
    return PODMAN if any(os.environ.get(name) for name in NAMES_PODMAN) else None


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
    address = _docker_address()
    program = shutil.which(DOCKER)
    if program is None and not _is_socket(address):
        raise InputError("no container engine was found; install Docker or Podman, then look with `cli.py doctor`.")
    api, facts = _open(address, DOCKER)
    return Engine(DOCKER, api, (program or DOCKER, "--host", address), facts)


def _docker_address() -> str:
    """DOCKER_HOST, or the address of the client's chosen context, or the usual socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    context = _chosen_context()
    if context == DEFAULT:
        return f"unix://{SOCKET}"
    address = _said([DOCKER, "context", "inspect", context, "--format", "{{.Endpoints.docker.Host}}"])
    if not address:
        raise InputError(
            f"Docker's context {context!r}, which DOCKER_CONTEXT or the client's config.json names, cannot be read;"
            " `docker context ls` shows those that there are, and DOCKER_CONTEXT=default takes the usual one."
        )
    return address


def _chosen_context() -> str:
    """The client's context by DOCKER_CONTEXT or its config.json, whatever shape that file has."""
    if context := os.environ.get("DOCKER_CONTEXT"):
        return context
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        found = json.loads(config.read_text())
    except (OSError, ValueError, RecursionError):
        return DEFAULT
    context = found.get("currentContext") if isinstance(found, dict) else None
    return context if isinstance(context, str) and context else DEFAULT


def _connect_podman() -> Engine:
    program = shutil.which(PODMAN)
    if program is None:
        raise InputError("podman was not found; install it, or name another engine with --engine docker.")
    if named := _podman_address(program):
        api, facts = _open(named, PODMAN)
        return Engine(PODMAN, api, (program,), facts)
    try:
        api, facts = _open(f"unix://{_podman_folder() / 'podman.sock'}", PODMAN)
    except InputError:
        api, facts = _open(_serve_podman(program), PODMAN)
    return Engine(PODMAN, api, (program,), facts)


def _podman_address(program: str) -> str | None:
    """The address that CONTAINER_HOST gives, or the connection that CONTAINER_CONNECTION names; None without either."""
    if host := os.environ.get("CONTAINER_HOST"):
        return host
    name = os.environ.get("CONTAINER_CONNECTION")
    if not name:
        return None
    listed = _said([program, "system", "connection", "list", "--format", "{{.Name}} {{.URI}}"]) or ""
    known = dict(line.split(maxsplit=1) for line in listed.splitlines() if " " in line)
    if name not in known:
        raise InputError(
            f"CONTAINER_CONNECTION names {name!r}, which is no connection of podman's;"
            " `podman system connection list` shows those that there are."
        )
    return known[name].strip()


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
    """Podman has no daemon: this is a service that ends by itself after a while without requests."""
    path = _podman_folder() / "servelab.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _listens(path):
        path.unlink(missing_ok=True)
        command = [program, "system", "service", "--time", str(SERVICE_IDLE_S), f"unix://{path}"]
        quiet = subprocess.DEVNULL
        service = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        until = time.monotonic() + START_S
        while not _listens(path) and service.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
    return f"unix://{path}"


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _open(address: str, kind: str) -> tuple[DockerClient, dict[str, Any]]:
    """The SDK's client and what the engine says of itself. InputError with the way out when it does not answer."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with_patience = docker.DockerClient(base_url=address, timeout=ANSWER_S)
        facts = with_patience.info()
        return docker.DockerClient(base_url=address, timeout=WORK_S), facts
    except (DockerException, RequestException, OSError, ValueError) as error:
        if "Permission denied" in str(error):
            raise InputError(
                f"this user may not talk to the {kind} engine at {address}; join its group with"
                " `sudo usermod -aG docker $USER`, log in again, and type the same command again."
            ) from error
        raise InputError(f"the {kind} engine at {address} does not answer; start it ({START[kind]}).") from error


def _is_socket(address: str) -> bool:
    return not address.startswith("unix://") or Path(address.removeprefix("unix://")).is_socket()


def _builder(engine: Engine) -> tuple[str, ...] | None:
    """Clients before 23 have BuildKit in them; later ones need the buildx plugin, and another client may be installed too."""
    if engine.kind == PODMAN:
        return engine.program
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for program in dict.fromkeys(filter(None, (shutil.which(DOCKER, path=folder) for folder in folders))):
        version = _said([program, "version", "--format", "{{.Client.Version}}"], engine)
        major = (version or "").partition(".")[0]
        if (major.isdecimal() and int(major) < 23) or _said([program, "buildx", "version"], engine):
            return (program, *engine.program[1:])
    return None


def _said(command: Sequence[str], engine: Engine | None = None) -> str | None:
    """What a client printed, None when it failed."""
    environment = dict(os.environ) if engine is None else {**os.environ, "DOCKER_HOST": engine.program[-1]}
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
