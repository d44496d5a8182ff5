"""The engine of this kit, with real models on the machine at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.figures.figure import Figure, Options, Platform
from exps.run.backends.base import PACKAGES, Backend
from exps.run.local import download_bytes
from exps.run.serving import Outcome, Setup
from hosting.device import CPU
from hosting.engines import Found
from hosting.gpus import Driver

TORCH = ("torch", "safetensors", "tokenizers", "huggingface_hub")
DRAIN = 1.25
WEIGHTS = {"own": "its own weights", "widened": "WIDENED weights, the tiny pair's function in the model's shape,"}
SUMS = ("gloo", "symmetric memory where the GPUs map each other's, and NCCL")


class NativeBackend(Backend):
    """Serves the platforms that are this machine, on its processor or its GPUs."""

    name = "native"
    label = "NATIVE, real tokens"
    packages = (*PACKAGES, *TORCH)
    roots = ("exps/run/native/serving.py", "exps/run/native/models.py", "exps/run/native/executors.py")
    data = ("engine/kernels/**/*.py", "engine/models/**/*.safetensors", "engine/models/**/*.json*")

    def made_for(self, platform: Platform) -> bool:
        return platform.local

    def refuses(self, platform: Platform) -> str | None:
        if platform.local:
            return None
        return f"the figure has no model of this machine in the place of {platform.name}; leave --backend native out."

    def serving(self, platform: Platform, figure: Figure, device: str | None) -> Platform:
        """A model of the paper is served by the local platform of the same model, where the figure has one."""
        same = [one for one in figure.platforms if one.local and one.model == platform.model]
        return super().serving(same[0] if same else platform, figure, device)

    def hindrance(self, engine: Found | None) -> str | None:
        if lacking := lacking_torch():
            contained = ", or cli.py build and cli.py start, then it runs in the container"
            return f"needs {', '.join(lacking)}: make tiny installs it{contained if engine and not engine.fault else ''}"
        return None

    def note(self, driver: Driver | None) -> str:
        gpus = ", others on the GPUs" if driver is not None and driver.gpus else ""
        return f" on the CPU, with --model tiny{gpus}"

    def platforms(self, figure: Figure) -> Sequence[Platform]:
        return [platform for platform in figure.platforms if platform.local][:1]

    def serve(self, timetable: pl.DataFrame, setup: Setup) -> Outcome:
        from exps.run.native.serving import serve_natively

        return serve_natively(timetable, setup)

    def seconds(self, figure: Figure, timetable: pl.DataFrame, until_s: float | None) -> float:
        return until_s or DRAIN * float(timetable["arrival_s"].max() or 0.0)  # type: ignore[arg-type]

    def notice(self, platform: Platform, options: Options) -> str:
        device, missing = platform.device or CPU, download_bytes(platform, options.weights)
        first = f", {missing / 1e9:.1f} GB of which are downloaded first" if missing else ""
        return f"real tokens of {WEIGHTS[options.weights]} in {device.dtype} on {device.title}{first}"

    def configured(self, setup: Setup) -> dict[str, Any]:
        how = {} if setup.device == CPU else asdict(setup.execution)
        ranks = {"ranks": setup.device.ranks, "sums": SUMS[setup.device.gpus > 0]} if setup.device.ranks > 1 else {}
        return {"machine": setup.device.title, "dtype": setup.device.dtype, "weights": setup.weights, **how, **ranks}


def lacking_torch() -> list[str]:
    """Packages of the native engine that are not installed."""
    return [name for name in TORCH if find_spec(name) is None]


def check_torch() -> None:
    """InputError unless what the native engine needs is installed."""
    if lacking := lacking_torch():
        raise InputError(f"the native engine needs {', '.join(lacking)}; install it with `make tiny`.")
