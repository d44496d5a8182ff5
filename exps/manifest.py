"""What a result came from: configuration, versions, commit, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from exps.simulation import Setup
from exps.work import Product

ROOT = Path(__file__).parent.parent
CORE = ("numpy", "scipy", "polars", "matplotlib", "typer", "rich", "joblib")
SIMULATOR = ("engine/**/*.py", "engine/**/*.toml", "exps/simulation.py")
FORMAT = 1


def configuration(
    setup: Setup, timetable: pl.DataFrame, workload_source: str, figure: str | None = None, **more: Any
) -> dict[str, Any]:
    """Everything that decides the records of a point; equal configurations give equal bytes.

    ``code`` is a digest of the simulator's sources and profiles, so that results of other code are not taken for ours.
    """
    return {
        "format": FORMAT,
        "figure": figure,
        "system": setup.system,
        "model": setup.model,
        "hardware": setup.hardware,
        "calibration": setup.calibration,
        "seed": setup.seed,
        "kv_tokens": setup.kv_tokens,
        "cold_start_s": setup.cold_start_s,
        "record_steps": setup.record_steps,
        "workload": {"source": workload_source, "requests": timetable.height, "sha256": frame_sha256(timetable)},
        "code": code_sha256(),
        **more,
    }


def manifest(asked: dict[str, Any], product: Product) -> dict[str, Any]:
    """The manifest of a result: its configuration, what came out, and what and where it ran."""
    return {
        "configuration": asked,
        "rows": product.rows,
        "facts": dict(product.facts),
        "versions": versions(),
        "commit": commit(),
        "machine": machine(),
        "wall_s": round(product.wall_s, 3),
    }


def frame_sha256(frame: pl.DataFrame) -> str:
    """A digest of a frame's names and values, whatever its encoding in a file."""
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()


@cache
def code_sha256() -> str:
    """A digest of the files that decide what a simulation returns."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SIMULATOR for path in ROOT.glob(pattern)):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers pass through."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in CORE}}


@cache
def commit() -> str | None:
    """The commit of this tree, with "+changes" when files differ from it; None outside a repository of its own."""
    try:
        top = _git("rev-parse", "--show-toplevel")
        if not os.path.samefile(top, ROOT):
            return None
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def machine() -> dict[str, Any]:
    """The host that computed: system, processor, cores, bytes of memory."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": memory_bytes(),
    }


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.exists():
        lines = info.read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
