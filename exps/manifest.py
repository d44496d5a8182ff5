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

from exps.serving import NATIVE, Setup
from exps.work import Product

ROOT = Path(__file__).parent.parent
CORE = ("numpy", "scipy", "polars", "matplotlib", "typer", "rich", "joblib")
TORCH = ("torch", "safetensors", "tokenizers", "huggingface_hub")
SERVING = ("engine/**/*.py", "engine/**/*.toml", "engine/**/*.npz", "exps/serving.py", "exps/recorder.py")
MODELS = ("engine/executors/native/", "engine/kernels/", "engine/models/")
SIMULATION_FILES = ("exps/simulation.py",)
NATIVE_FILES = ("exps/native/*.py", "engine/models/**/*.safetensors", "engine/models/**/*.json*")
FORMAT = 2


def configuration(
    setup: Setup, timetable: pl.DataFrame, workload_source: str, figure: str | None = None, **more: Any
) -> dict[str, Any]:
    """Everything that decides the records of a point; equal configurations give equal bytes.

    ``code`` is a digest of the sources and profiles that decide the records, so that results of other code are not taken
    for ours. ``measured`` is a digest of the profile of this machine, where there is one. A native run also depends on
    the machine and the weights.
    """
    native = setup.backend == NATIVE
    return {
        "format": FORMAT,
        "figure": figure,
        "system": setup.system.name,
        "model": setup.model,
        "hardware": setup.hardware,
        "policies_by_role": setup.system.parts,
        "calibration": setup.calibration,
        "seed": setup.seed,
        "kv_tokens": setup.kv_tokens,
        "cold_start_s": setup.cold_start_s,
        "record_steps": setup.record_steps,
        "backend": setup.backend,
        "acceptance": setup.acceptance,
        "until_s": setup.until_s,
        "policies": {name: dict(given) for name, given in sorted(setup.policies.items())},
        "measured": None if setup.profiles is None else profile_sha256(setup.profiles, f"{setup.model}@{setup.hardware}"),
        "machine": machine_name() if native else None,
        "weights": setup.weights if native else None,
        "workload": {"source": workload_source, "requests": timetable.height, "sha256": frame_sha256(timetable)},
        "code": code_sha256(setup.backend),
        **more,
    }


def manifest(asked: dict[str, Any], product: Product) -> dict[str, Any]:
    """The manifest of a result: its configuration, what came out, and what and where it ran."""
    return {
        "configuration": asked,
        "rows": product.rows,
        "facts": dict(product.facts),
        "versions": versions(asked["backend"] == NATIVE),
        "commit": commit(),
        "machine": machine(),
        "wall_s": round(product.wall_s, 3),
        **({"failure": product.failure} if product.failure else {}),
    }


def frame_sha256(frame: pl.DataFrame) -> str:
    """A digest of a frame's names and values, whatever its encoding in a file."""
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()


@cache
def code_sha256(backend: str) -> str:
    """A digest of the files that decide what a run on this backend returns; shipped weights are among them."""
    digest = hashlib.sha256()
    own = NATIVE_FILES if backend == NATIVE else SIMULATION_FILES
    patterns = (*SERVING, *own)
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        if backend == NATIVE or not name.startswith(MODELS):
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def profile_sha256(profiles: Path, name: str) -> str | None:
    """A digest of a measured deployment, None where there is none."""
    path = profiles / "deployments" / f"{name}.toml"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


@cache
def versions(native: bool = False) -> dict[str, str]:
    """Versions of Python and of the packages that the numbers pass through."""
    packages = (*CORE, *TORCH) if native else CORE
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


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


def machine_name() -> str:
    """The processor and how many of its cores there are: what tells one machine's measurements from another's."""
    return f"{_processor()}, {cores()} cores"


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
