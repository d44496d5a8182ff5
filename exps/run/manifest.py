"""What a result came from: configuration, versions, commit, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from exps.run.backends import BACKENDS
from exps.run.code import ROOT, code_sha256
from exps.run.serving import Setup
from exps.run.work import Product
from hosting.machine import machine

FORMAT = 3


def configuration(
    setup: Setup, timetable: pl.DataFrame, workload_source: str, figure: str | None = None, **more: Any
) -> dict[str, Any]:
    """Everything that decides the records of a point; equal configurations give equal bytes.

    ``code`` is a digest of the sources and profiles that decide the records, so that results of other code are not taken
    for ours. ``measured`` is a digest of the profile of this machine, where there is one.
    """
    backend = BACKENDS[setup.backend]
    chosen = {role: {"policy": choice.name, **choice.parameters} for role, choice in setup.system.choices.items()}
    return {
        "format": FORMAT,
        "figure": figure,
        "system": setup.system.name,
        "model": setup.model,
        "hardware": setup.hardware,
        "choices": chosen,
        "calibration": setup.calibration,
        "seed": setup.seed,
        "kv_tokens": setup.kv_tokens,
        "cold_start_s": setup.cold_start_s,
        "record_steps": setup.record_steps,
        "trace_steps": setup.trace_steps,
        "backend": setup.backend,
        "acceptance": setup.acceptance,
        "until_s": setup.until_s,
        "policies": {name: dict(given) for name, given in sorted(setup.policies.items())},
        "measured": None if setup.profiles is None else profile_sha256(setup.profiles, f"{setup.model}@{setup.hardware}"),
        **backend.configured(setup),
        "workload": {"source": workload_source, "requests": timetable.height, "sha256": frame_sha256(timetable)},
        "code": code_sha256(backend, setup.system),
        **more,
    }


def manifest(asked: dict[str, Any], product: Product) -> dict[str, Any]:
    """The manifest of a result: its configuration, what came out, and what and where it ran."""
    return {
        "configuration": asked,
        "rows": product.rows,
        "facts": dict(product.facts),
        "versions": versions(BACKENDS[asked["backend"]].packages),
        "commit": commit(),
        "machine": machine(),
        "wall_s": round(product.wall_s, 3),
        **({"failure": product.failure} if product.failure else {}),
    }


def frame_sha256(frame: pl.DataFrame) -> str:
    """A digest of a frame's names and values, whatever its encoding in a file."""
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()


def profile_sha256(profiles: Path, name: str) -> str | None:
    """A digest of a measured deployment, None where there is none."""
    path = profiles / "deployments" / f"{name}.toml"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


@cache
def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of Python and of the packages that the numbers pass through."""
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


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
