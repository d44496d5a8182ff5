"""What every run needs: Python, packages, memory, a folder for the results."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from exps.run.backends.base import PACKAGES
from hosting.machine import cores, memory_bytes
from hosting.storage import free_bytes, is_writable

OLDEST_PYTHON = (3, 10)
ENOUGH_MEMORY = 2 * 10**9


def run_checks(results: Path) -> list[dict[str, Any]]:
    """Rows of name, ok and found; what is not ok says what mends it."""
    return [_python(), *(_package(name) for name in PACKAGES), _memory(), _folder(results), _disk(results)]


def _check(name: str, ok: bool, found: str, advice: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found if ok else f"{found}; {advice}"}


def _python() -> dict[str, Any]:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    advice = f"install Python {oldest} or newer, and name it, as in make PYTHON=python3.12"
    return _check("python", sys.version_info >= OLDEST_PYTHON, ".".join(map(str, sys.version_info[:3])), advice)


def _package(name: str) -> dict[str, Any]:
    try:
        return _check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return _check(name, False, "missing", "make fig8 installs it")


def _memory() -> dict[str, Any]:
    memory = memory_bytes()
    found = f"{cores()} cores, {'unknown' if memory is None else f'{memory / 1e9:.1f} GB'} of memory"
    return _check("machine", memory is None or memory >= ENOUGH_MEMORY, found, f"{ENOUGH_MEMORY / 1e9:.0f} GB are needed")


def _folder(results: Path) -> dict[str, Any]:
    writable = is_writable(results)
    found = f"{results} is {'' if writable else 'not '}writable"
    return _check("results", writable, found, "choose another folder with --results DIR")


def _disk(results: Path) -> dict[str, Any]:
    free, needed = free_bytes(results), _needed_bytes()
    advice = f"all figures need {needed / 1e9:.1f} GB: choose another disk with --results DIR"
    return _check("disk", free >= needed, f"{free / 1e9:.1f} GB free", advice)


def _needed_bytes() -> int:
    from exps.papers.registry import FIGURES

    owners = [figure for figure in FIGURES.values() if figure.points_of is None]
    return sum(figure.point_bytes * figure.size(platform) for figure in owners for platform in figure.published_platforms)
