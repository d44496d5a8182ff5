"""The driver and its GPUs, and how many of them hold a model."""

from __future__ import annotations

from typing import Any

from hosting.gpus import Driver, Gpu, dotted, driver_fault, driver_note, gpu_fault, gpu_note

# What of a GPU's memory is for weights: KV cache, activations and CUDA itself take the rest.
WEIGHTS_SHARE = 0.8
MOST_GPUS = 64


def describe_driver(driver: Driver | None) -> dict[str, Any] | None:
    """The ``driver`` of an examination."""
    if driver is None:
        return None
    return {
        "version": driver.version,
        "cuda": driver.cuda,
        "fault": driver_fault(driver),
        "note": driver_note(driver),
        "gpus": [_describe(gpu) for gpu in driver.gpus],
    }


def usable(driver: Driver | None) -> tuple[Gpu, ...]:
    """The GPUs that the CUDA image can use."""
    if driver is None or driver_fault(driver):
        return ()
    return tuple(gpu for gpu in driver.gpus if gpu_fault(gpu) is None)


def gpus_for(weight_bytes: float, gpus: tuple[Gpu, ...]) -> int | None:
    """How many GPUs as small as the smallest here hold the weights, a power of two; None where that is not known."""
    sizes = [gpu.memory_bytes for gpu in gpus if gpu.memory_bytes]
    if not sizes:
        return None
    count = 1
    while count < MOST_GPUS and weight_bytes > count * min(sizes) * WEIGHTS_SHARE:
        count *= 2
    return count


def _describe(gpu: Gpu) -> dict[str, Any]:
    return {
        "index": gpu.index,
        "name": gpu.name,
        "memory_bytes": gpu.memory_bytes,
        "used_bytes": gpu.used_bytes,
        "capability": None if gpu.capability is None else dotted(gpu.capability),
        "fault": gpu_fault(gpu),
        "note": gpu_note(gpu),
        "processes": [vars(process) for process in gpu.processes],
    }
