"""The engine of this kit, with real models on the machine at hand."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.figures.figure import Figure, Platform
from exps.run.backends.base import PACKAGES, Backend
from exps.run.serving import Outcome, Setup
from hosting.engines import Found
from hosting.gpus import Driver
from hosting.machine import machine_name

TORCH = ("torch", "safetensors", "tokenizers", "huggingface_hub")
DRAIN = 1.25


class NativeBackend(Backend):
    """Serves what this machine's processor can hold: the platforms that are this machine."""

    name = "native"
    label = "NATIVE, real tokens"
    packages = (*PACKAGES, *TORCH)
    roots = ("exps/run/native/serving.py", "exps/run/native/models.py")
    data = ("engine/kernels/**/*.py", "engine/models/**/*.safetensors", "engine/models/**/*.json*")

    def made_for(self, platform: Platform) -> bool:
        return platform.local

    def refuses(self, platform: Platform) -> str | None:
        if platform.local:
            return None
        needed = f"{platform.name} is served natively by {platform.hardware}, and this engine runs on the processor alone"
        return f"{needed}; use --model tiny, or --backend sim."

    def hindrance(self, engine: Found | None) -> str | None:
        if lacking := lacking_torch():
            contained = ", or cli.py build and cli.py start, then it runs in the container"
            return f"needs {', '.join(lacking)}: make tiny installs it{contained if engine and not engine.fault else ''}"
        return None

    def note(self, driver: Driver | None) -> str:
        idle = "; this version leaves the GPUs idle" if driver is not None and driver.gpus else ""
        return f" on the CPU, with --model tiny{idle}"

    def platforms(self, figure: Figure) -> Sequence[Platform]:
        return [platform for platform in figure.platforms if self.refuses(platform) is None][:1]

    def serve(self, timetable: pl.DataFrame, setup: Setup) -> Outcome:
        from exps.run.native.serving import serve_natively

        return serve_natively(timetable, setup)

    def seconds(self, figure: Figure, timetable: pl.DataFrame, until_s: float | None) -> float:
        return until_s or DRAIN * float(timetable["arrival_s"].max() or 0.0)  # type: ignore[arg-type]

    def configured(self, setup: Setup) -> dict[str, Any]:
        return {"machine": machine_name(), "weights": setup.weights}


def lacking_torch() -> list[str]:
    """Packages of the native engine that are not installed."""
    return [name for name in TORCH if find_spec(name) is None]


def check_torch() -> None:
    """InputError unless what the native engine needs is installed."""
    if lacking := lacking_torch():
        raise InputError(f"the native engine needs {', '.join(lacking)}; install it with `make tiny`.")
