"""What of this machine computes: its processor, or some of its GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from engine.errors import InputError
from hosting.gpus import BFLOAT16_CAPABILITY, Driver, Gpu, find_driver
from hosting.machine import machine_name

CPU_NAME = "cpu"
ASKED = re.compile(r"cpu|(?:([1-9]\d?)x)?gpu", re.ASCII)


@dataclass(frozen=True)
class Device:
    """``hardware`` is its name among profiles ("cpu", "h100-80gb-hbm3", "4xh100-80gb-hbm3"), ``title`` what it is.

    ``gpus`` share each tensor of a model; 0 of them is the processor. ``dtype`` is that of weights, keys and values.
    """

    hardware: str
    title: str
    gpus: int = 0
    dtype: str = "float32"


CPU = Device(CPU_NAME, machine_name())


@cache
def driver_here() -> Driver | None:
    """The driver of this machine, asked once."""
    return find_driver()


def gpus_here() -> tuple[Gpu, ...]:
    """The GPUs of the first one's kind."""
    driver = driver_here()
    found = driver.gpus if driver else ()
    return tuple(gpu for gpu in found if gpu.name == found[0].name)


def on_gpus(count: int) -> Device:
    """The first ``count`` GPUs. InputError where there are fewer of one kind."""
    gpus = gpus_here()
    if count > len(gpus):
        there = f"{len(gpus)} of one kind" if gpus else (_fault() or "no NVIDIA GPU")
        raise InputError(f"{count} {'GPU is' if count == 1 else 'GPUs are'} wanted, and this machine has {there};"
                         " use --device cpu, or fewer.")
    name, many = slug(gpus[0].name), f"{count} x " if count > 1 else ""
    capability = gpus[0].capability or BFLOAT16_CAPABILITY
    dtype = "bfloat16" if capability >= BFLOAT16_CAPABILITY else "float16"
    return Device(f"{count}x{name}" if count > 1 else name, f"{many}{gpus[0].name}", count, dtype)


def slug(name: str) -> str:
    """A GPU's name as profiles call it: "h100-80gb-hbm3" of "NVIDIA H100 80GB HBM3"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("nvidia ")).strip("-")


def device_for(weight_bytes: float, asked: str | None) -> Device:
    """What serves weights of so many bytes in 16 bits: what is ``asked`` for ("cpu", "gpu", "4xgpu"), else the fewest GPUs
    whose memory holds them beside as much of a KV cache as a quarter of it, else the processor.

    InputError for what is asked and not there.
    """
    if asked is not None and not ASKED.fullmatch(asked):
        raise InputError(f"--device {asked!r} is not known; write cpu, gpu, or a number of GPUs as in 4xgpu.")
    if asked == CPU_NAME:
        return CPU
    if asked and (count := ASKED.fullmatch(asked)[1]):  # type: ignore[index]
        return on_gpus(int(count))
    gpus = gpus_here()
    fitting = [count for count in (1, 2, 4, 8) if count <= len(gpus) and weight_bytes <= 0.75 * count * _memory(gpus[0])]
    if fitting:
        return on_gpus(fitting[0])
    if asked or gpus:
        return on_gpus(len(gpus) or 1)
    return CPU


def _memory(gpu: Gpu) -> float:
    return float(gpu.memory_bytes or 0)


def _fault() -> str | None:
    driver = driver_here()
    return driver.fault if driver else None
