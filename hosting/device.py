"""What of this machine computes: its processor, or some of its GPUs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from engine.errors import InputError
from hosting.gpus import BFLOAT16_CAPABILITY, Driver, Gpu, find_driver
from hosting.machine import machine_name

CPU_NAME = "cpu"
COUNTS = (1, 2, 4, 8)
WEIGHTS_SHARE = 0.75
ASKED = re.compile(r"cpu|(?:([1-9]\d?)x)?gpu", re.ASCII)


@dataclass(frozen=True)
class Device:
    """``hardware`` is its name among profiles ("cpu", "h100-80gb-hbm3", "4xh100-80gb-hbm3"), ``title`` what it is.

    ``gpus``: 0 of them is the processor. ``dtype`` is that of weights, keys and values. ``ranks`` are the processes that share
    each tensor of a model: one a GPU.
    """

    hardware: str
    title: str
    gpus: int = 0
    dtype: str = "float32"
    ranks: int = 1


CPU = Device(CPU_NAME, machine_name())


@cache
def driver_here() -> Driver | None:
    """The driver of this machine, asked once."""
    return find_driver()


def of_one_kind(driver: Driver | None) -> tuple[Gpu, ...]:
    """The GPUs of the first one's kind."""
    found = driver.gpus if driver else ()
    return tuple(gpu for gpu in found if gpu.name == found[0].name)


def _on_gpus(driver: Driver | None, count: int) -> Device:
    """The first ``count`` GPUs. InputError where there are fewer of one kind."""
    gpus = of_one_kind(driver)
    if count > len(gpus):
        there = f"{len(gpus)} of one kind" if gpus else ((driver.fault if driver else None) or "no NVIDIA GPU")
        instead = f"--device {len(gpus)}xgpu, or " if gpus else ""
        raise InputError(f"{count} {'GPU is' if count == 1 else 'GPUs are'} wanted, and this machine has {there};"
                         f" use {instead}--device cpu.")
    name, many = slug(gpus[0].name), f"{count} x " if count > 1 else ""
    capability = gpus[0].capability or BFLOAT16_CAPABILITY
    dtype = "bfloat16" if capability >= BFLOAT16_CAPABILITY else "float16"
    return Device(f"{count}x{name}" if count > 1 else name, f"{many}{gpus[0].name}", count, dtype, count)


def slug(name: str) -> str:
    """A GPU's name as profiles call it: "h100-80gb-hbm3" of "NVIDIA H100 80GB HBM3"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("nvidia ")).strip("-") or "gpu"


def device_for(weight_bytes: float, asked: str | None) -> Device:
    """``device_on`` this machine."""
    return device_on(driver_here(), weight_bytes, asked)


def device_on(driver: Driver | None, weight_bytes: float, asked: str | None) -> Device:
    """What serves weights of so many bytes in 16 bits: what is ``asked`` for ("cpu", "gpu", "4xgpu"), else the fewest GPUs
    whose memory holds them beside as much of a KV cache as a quarter of it, else the processor.

    InputError for what is asked and not there.
    """
    if asked is not None and not ASKED.fullmatch(asked):
        raise InputError(f"--device {asked!r} is not known; write cpu, gpu, or a number of GPUs as in 4xgpu.")
    if asked == CPU_NAME:
        return CPU
    if asked and (count := ASKED.fullmatch(asked)[1]):  # type: ignore[index]
        return _on_gpus(driver, int(count))
    gpus = of_one_kind(driver)
    fitting = [count for count in COUNTS if count <= len(gpus) and hold(gpus[:count], weight_bytes)]
    if fitting:
        return _on_gpus(driver, fitting[0])
    if asked or gpus:
        return _on_gpus(driver, len(gpus) or 1)
    return CPU


def fewest(weight_bytes: float, memory_bytes: float) -> int | None:
    """How many GPUs of so much memory hold the weights beside a KV cache; None for more than a host has."""
    return next((count for count in COUNTS if weight_bytes <= WEIGHTS_SHARE * count * memory_bytes), None)


def hold(gpus: Sequence[Gpu], weight_bytes: float) -> bool:
    """Whether GPUs of one kind hold weights of so many bytes beside a KV cache."""
    return weight_bytes <= WEIGHTS_SHARE * sum(gpu.memory_bytes or 0 for gpu in gpus)
