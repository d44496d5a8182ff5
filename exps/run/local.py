"""Figures on the machine at hand: what was measured on it, and what follows for their workloads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from engine.catalogue import DRAFTS, MODELS
from engine.configuration import nearest, read_toml
from engine.errors import InputError
from engine.executors.simulated.profiles import Deployment, load_deployment, load_model, model_bytes, models
from engine.system import parse_system
from exps.figures.figure import Options, Platform
from exps.run.serving import Setup
from exps.run.simulation import simulate
from hosting.device import CPU, Device, device_for, device_on
from hosting.gpus import Driver
from hosting.machine import memory_bytes
from hosting.storage import missing_bytes, models_folder

MEASURED = "measured"
TINY = Platform("tiny", "tiny", CPU.hardware, "The tiny pair on this machine", CPU)
LLAMA_8B = Platform("llama-8b", "llama-3.1-8b", CPU.hardware, "Llama-3.1-8B on this machine", CPU)
LLAMA_70B = Platform("llama-70b", "llama-3.1-70b", CPU.hardware, "Llama-3.1-70B on this machine", CPU)
QWEN_32B = Platform("qwen-32b", "qwen2.5-32b", CPU.hardware, "Qwen2.5-32B on this machine", CPU)
LLAMA_7B = Platform("llama-7b", "llama-2-7b", CPU.hardware, "Llama-2-7B on this machine", CPU)
PAIRS = (TINY, LLAMA_8B, LLAMA_70B, QWEN_32B)
LOCAL = (*PAIRS, LLAMA_7B)
WEIGHTS_KEPT = 2.2


def find_local(name: str) -> Platform:
    """A local platform by name. InputError with the nearest names."""
    known = {platform.name: platform for platform in LOCAL}
    if name not in known:
        raise InputError(f"unknown model {name!r} of this machine; {nearest(name, list(known))}")
    return known[name]


def on_this_machine(platform: Platform, asked: str | None) -> Platform:
    """A local platform with the device that serves it: what is ``asked`` for (Options.device), else what fits the model."""
    device = CPU if platform == TINY and asked is None else device_for(weight_bytes(platform), asked)
    return replace(platform, device=device, hardware=device.hardware)


def device_with(driver: Driver | None, platform: Platform) -> Device:
    """What serves a local platform on a machine of this driver where nothing is asked for."""
    return CPU if platform == TINY else device_on(driver, weight_bytes(platform), None)


def weight_bytes(platform: Platform) -> float:
    """Of the target in 16 bits; 0 of the tiny pair, which fits anywhere."""
    return 0.0 if platform == TINY else load_model(platform.model).weight_bytes


def download_bytes(platform: Platform, weights: str) -> int:
    """What has to be downloaded first: of the target and its draft, where their own weights are wanted."""
    if weights != "own" or platform.model not in DRAFTS:
        return 0
    pair = (platform.model, DRAFTS[platform.model])
    return missing_bytes({MODELS[model].repository: model_bytes(model) for model in pair}, models_folder())


def host_bytes(model: str) -> float:
    """What a model takes on the processor: float32 weights and their copy in the layout of fast products."""
    return WEIGHTS_KEPT * 4 * load_model(model).parameters if model in models() else 0.0


def check_memory(model: str, device: Device) -> None:
    """InputError where the device is the processor, and the machine's memory too small for the model."""
    needed, there = host_bytes(model), memory_bytes()
    if not device.gpus and there is not None and needed > there:
        raise InputError(
            f"{model} needs {needed / 1e9:.0f} GB in float32 and this machine has {there / 1e9:.0f} GB; use --model tiny."
        )


def source(device: Device) -> str:
    """What a profile measured here says of where it comes from."""
    return f"cli.py profile on {device.title}"


def is_measured(platform: Platform, profiles: Path) -> bool:
    """Whether there is a profile of this platform, made on this machine."""
    path = profiles / "deployments" / f"{platform.model}@{platform.hardware}.toml"
    model = profiles / "models" / f"{platform.model}.toml"
    here = source(platform.device or CPU)
    return path.exists() and read_toml(path).get("source") == here and "context" in read_toml(model)


def measured(platform: Platform, options: Options) -> Deployment:
    """The profile of a platform on this machine. InputError where it was not measured."""
    profiles = options.profiles
    if profiles is None or not is_measured(platform, profiles):
        raise InputError(
            f"this machine was not measured with the model {platform.name};"
            f" measure it with `cli.py profile --model {platform.name}`."
        )
    return load_deployment(platform.model, platform.hardware, profiles)


def capacity_rps(workload: pl.DataFrame, system: str, platform: Platform, options: Options, kv_tokens: int | None) -> float:
    """Requests a second that ``system`` serves of a workload that is all there at once, by the measured profile."""
    at_once = workload.with_columns(pl.lit(0.0).alias("arrival_s"))
    system_of = parse_system(system)
    setup = Setup(system_of, platform.model, platform.hardware, MEASURED, kv_tokens=kv_tokens, profiles=options.profiles)
    return at_once.height / float(simulate(at_once, setup).facts["end_s"])


def three_digits(value: float) -> float:
    """A rate as a person would type it."""
    return float(f"{value:.3g}")
