"""Which container engine a person named: by a variable of a client, or by that client's own settings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError

DOCKER, PODMAN = "docker", "podman"
PATIENCE_S = 60
DEFAULT = "default"


@dataclass(frozen=True)
class Named:
    """An engine's ``kind`` and address; ``by`` is what named it, as a sentence begins."""

    kind: str
    address: str
    by: str


def named_engine() -> Named | None:
    """The engine that DOCKER_HOST, DOCKER_CONTEXT, the docker client's context, CONTAINER_HOST or CONTAINER_CONNECTION name,
    in this order; None when nobody named any. InputError for a name that stands for none."""
    return named_docker() or named_podman()


def named_docker() -> Named | None:
    """The Docker that was named."""
    if host := os.environ.get("DOCKER_HOST"):
        return Named(DOCKER, host, "DOCKER_HOST")
    context, by = _chosen_context()
    if context == DEFAULT:
        return None
    address = said([DOCKER, "context", "inspect", context, "--format", "{{.Endpoints.docker.Host}}"])
    if not address:
        raise InputError(
            f"{by} names Docker's context {context!r}, which cannot be read; `docker context ls` shows those that there are,"
            " and DOCKER_CONTEXT=default takes the usual one."
        )
    return Named(DOCKER, address, f"{by} ({context})")


def _chosen_context() -> tuple[str, str]:
    """The client's context by DOCKER_CONTEXT or its config.json, whatever shape that file has; and which of the two."""
    if context := os.environ.get("DOCKER_CONTEXT"):
        return context, "DOCKER_CONTEXT"
    try:
        config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
        found = json.loads(config.read_text())
    except (OSError, ValueError, RecursionError, RuntimeError):
        return DEFAULT, ""
    chosen = found.get("currentContext") if isinstance(found, dict) else None
    return (chosen, str(config)) if isinstance(chosen, str) and chosen else (DEFAULT, "")


def named_podman() -> Named | None:
    """The Podman that was named."""
    host, connection = os.environ.get("CONTAINER_HOST"), os.environ.get("CONTAINER_CONNECTION")
    if host and connection:
        raise InputError("CONTAINER_HOST and CONTAINER_CONNECTION both name an engine; unset one of the two.")
    if host:
        return Named(PODMAN, host, "CONTAINER_HOST")
    return Named(PODMAN, _connection(connection), f"CONTAINER_CONNECTION ({connection})") if connection else None


def _connection(name: str) -> str:
    """The address of one of podman's connections."""
    listed = said([PODMAN, "system", "connection", "list", "--format", "{{.Name}} {{.URI}}"]) or ""
    known = dict(line.split(maxsplit=1) for line in listed.splitlines() if " " in line.strip())
    if name not in known:
        raise InputError(
            f"CONTAINER_CONNECTION names {name!r}, which is no connection of podman's;"
            " `podman system connection list` shows those that there are."
        )
    address = known[name].strip()
    if address.startswith("ssh://"):
        raise InputError(
            f"CONTAINER_CONNECTION names {name!r}, which is reached by ssh; forward its socket with `ssh -L` and name that one"
            " with CONTAINER_HOST=unix://PATH."
        )
    return address


def said(command: Sequence[str], address: str | None = None) -> str | None:
    """What a client printed, None when it failed; ``address`` is the engine for docker's."""
    environment = dict(os.environ) if address is None else {**os.environ, "DOCKER_HOST": address}
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
