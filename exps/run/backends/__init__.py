"""Where points are served: a file each, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from engine.configuration import nearest
from engine.errors import InputError
from exps.figures.figure import Platform
from exps.run.backends.base import Backend
from exps.run.backends.native import NativeBackend
from exps.run.backends.simulated import SimulatedBackend

AUTO = "auto"
SIMULATED, NATIVE = SimulatedBackend(), NativeBackend()
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (SIMULATED, NATIVE)}


def choices() -> str:
    """What a person may name, for the help of the command line."""
    named = ", ".join(f"{name} ({backend.label})" for name, backend in BACKENDS.items())
    return f"{named}, or {AUTO}, the one made for the model."


def check_backend(name: str) -> str:
    """The name of a backend, or "auto". InputError for another."""
    if name not in (AUTO, *BACKENDS):
        raise InputError(f"unknown backend {name!r}; {nearest(name, [AUTO, *BACKENDS])}")
    return name


def backend_for(name: str, platforms: Sequence[Platform]) -> Backend:
    """The backend of a name; for "auto" the one that the platforms are made for. InputError where it cannot serve them."""
    backend = BACKENDS[name] if name != AUTO else next(one for one in BACKENDS.values() if one.made_for(platforms[0]))
    for platform in platforms:
        if reason := backend.refuses(platform):
            raise InputError(reason)
    return backend


__all__ = ["AUTO", "BACKENDS", "NATIVE", "SIMULATED", "Backend", "backend_for", "check_backend", "choices"]
