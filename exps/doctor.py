"""Whether this machine can do it: looks, changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exps.manifest import CORE, cores, machine, memory_bytes

if TYPE_CHECKING:
    from exps.report import Reporter

OLDEST_PYTHON = (3, 10)
ENOUGH_MEMORY = 2 * 10**9
READY = "ready"


def examine(results: Path) -> dict[str, Any]:
    """Checks (name, ok, found) and, for each figure and backend, a verdict with its reason."""
    checks = [_python(), *(_package(name) for name in CORE), _memory(), *_folder(results)]
    faults = [check["name"] for check in checks if not check["ok"]]
    return {"checks": checks, "machine": machine(), "figures": _verdicts(faults)}


def _check(name: str, ok: bool, found: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found}


def _python() -> dict[str, Any]:
    return _check("python", sys.version_info >= OLDEST_PYTHON, ".".join(map(str, sys.version_info[:3])))


def _package(name: str) -> dict[str, Any]:
    try:
        return _check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return _check(name, False, "missing; run make fig8, which installs it")


def _memory() -> dict[str, Any]:
    memory = memory_bytes()
    found = f"{cores()} cores, {'unknown' if memory is None else f'{memory / 1e9:.1f} GB'} of memory"
    return _check("machine", memory is None or memory >= ENOUGH_MEMORY, found)


def _folder(results: Path) -> list[dict[str, Any]]:
    """Room and permission, asked of the nearest folder that exists."""
    place = results.absolute()
    while not place.exists():
        place = place.parent
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK) and not _mounted_read_only(place)
    free = shutil.disk_usage(place).free
    return [
        _check("results", writable, f"{results} is {'' if writable else 'not '}writable"),
        _check("disk", free >= _needed_bytes(), f"{free / 1e9:.1f} GB free"),
    ]


def _mounted_read_only(place: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _needed_bytes() -> int:
    from exps.registry import FIGURES

    owners = [figure for figure in FIGURES.values() if figure.points_of is None]
    return sum(figure.point_bytes * figure.size(platform) for figure in owners for platform in figure.published_platforms)


def _verdicts(faults: list[str]) -> list[dict[str, Any]]:
    from exps.registry import BACKENDS, FIGURES

    return [
        {"figure": figure, "backend": backend, "ok": verdict.startswith(READY), "reason": verdict}
        for figure in FIGURES
        for backend in BACKENDS[1:]
        for verdict in [_verdict(backend, faults)]
    ]


def _verdict(backend: str, faults: list[str]) -> str:
    from exps.local import lacking_torch
    from exps.serving import NATIVE, SIM

    if backend not in (SIM, NATIVE):
        return "not in this version"
    if faults:
        return f"mend: {', '.join(faults)}"
    if backend == NATIVE:
        lacking = lacking_torch()
        return f"needs {', '.join(lacking)}: make tiny installs it" if lacking else f"{READY}, with --model tiny"
    return READY


def show(report: Reporter, found: dict[str, Any], as_json: bool) -> None:
    """The examination as tables, or as JSON."""
    if as_json:
        report.json(found)
        return
    import polars as pl

    checks = [{"check": row["name"], "ok": "yes" if row["ok"] else "NO", "found": row["found"]} for row in found["checks"]]
    report.frame("Machine", pl.DataFrame(checks))
    verdicts = [{key: str(row[key]) for key in ("figure", "backend", "reason")} for row in found["figures"]]
    report.frame("Figures", pl.DataFrame(verdicts))
