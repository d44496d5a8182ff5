"""What serves each model of this machine with real tokens, or what that would take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.catalogue import DRAFTS
from exps.figures.figure import Platform
from exps.run.backends import NATIVE
from exps.run.local import LOCAL, TINY, device_with, host_bytes, weight_bytes
from hosting.device import Device, fewest, hold, of_one_kind
from hosting.engines import Found
from hosting.gpus import Driver, Gpu, driver_fault, gpu_fault
from hosting.machine import memory_bytes
from hosting.storage import SHARED_MEMORY, TENSOR_PARALLEL_SHARED_BYTES

USUAL_BYTES = 80 * 10**9
FOR_CPUS = "+cpu"
SOME = 2**30


def describe_native(driver: Driver | None, engine: Found | None, shared_bytes: int | None) -> list[dict[str, Any]]:
    """The ``native`` of an examination."""
    hindrance = NATIVE.hindrance(engine)
    return [_describe(platform, driver, shared_bytes, hindrance) for platform in LOCAL]


def _describe(platform: Platform, driver: Driver | None, shared_bytes: int | None, hindrance: str | None) -> dict[str, Any]:
    device = device_with(driver, platform)
    fault = hindrance or (_gpus_fault(platform, driver, device) if device.gpus else _host_fault(platform, driver))
    notes = [fault or "ready"]
    if device.gpus and driver is not None:
        notes += _notes(driver, device, shared_bytes)
    if platform != TINY and platform.model not in DRAFTS:
        notes.append("with --weights widened alone")
    return {
        "model": platform.name,
        "device": device.title if device.gpus or fault is None else None,
        "gpus": device.gpus,
        "ok": fault is None,
        "reason": "; ".join(notes),
    }


def _host_fault(platform: Platform, driver: Driver | None) -> str | None:
    needed, there = host_bytes(platform.model), memory_bytes()
    if there is None or needed <= there:
        return None
    weights = weight_bytes(platform)
    gpus = f"{_gpus(fewest(weights, USUAL_BYTES))} of {_gb(USUAL_BYTES)}"
    why = f" ({driver.fault.rstrip('.')})" if driver is not None and driver.fault else ""
    return f"needs {gpus}{why}, or {_gb(needed)} of memory where {_gb(there)} are"


def _gpus_fault(platform: Platform, driver: Driver | None, device: Device) -> str | None:
    weights, gpus = weight_bytes(platform), of_one_kind(driver)[: device.gpus]
    if fault := driver_fault(driver) or next(filter(None, map(gpu_fault, gpus)), None):
        return fault.rstrip(".")
    if not hold(gpus, weights):
        count = fewest(weights, gpus[0].memory_bytes or 0)
        return f"needs {_gpus(count)} of this kind for {_gb(weights)} of weights, where this machine has {len(gpus)}"
    if (torch := version("torch")).endswith(FOR_CPUS):
        return f"needs a PyTorch for CUDA, where {torch} is for CPUs: cli.py build and cli.py start, or --device cpu"
    least = min((gpu.memory_bytes or 0) - (gpu.used_bytes or 0) for gpu in gpus)
    if weights / len(gpus) > least:
        return f"needs {_gb(weights / len(gpus))} on each GPU, where {_gb(least)} are free on the fullest"
    return None


def _notes(driver: Driver, device: Device, shared_bytes: int | None) -> Iterator[str]:
    gpus = of_one_kind(driver)[: device.gpus]
    for gpu in gpus:
        if held := _held(gpu):
            yield f"GPU {gpu.index} is in use by {held}"
    others = Counter(gpu.name for gpu in driver.gpus if gpu.name != gpus[0].name)
    if others:
        named = ", ".join(f"{count} x {name}" for name, count in others.items())
        yield f"{named} left out, since ranks share GPUs of one kind"
    if device.gpus > 1:
        yield f"tensor parallel, {device.ranks} ranks"
        if shared_bytes is None or shared_bytes < TENSOR_PARALLEL_SHARED_BYTES:
            there = "no" if shared_bytes is None else f"{shared_bytes / 2**30:.1f} GiB of"
            yield f"{there} {SHARED_MEMORY} may be too little for NCCL: cli.py start --shm 8g"


def _held(gpu: Gpu) -> str:
    """Who holds its memory; processes of other containers have no names here."""
    named = ", ".join(f"{Path(process.name).name} (pid {process.pid})" for process in gpu.processes)
    return named or ("another process" if (gpu.used_bytes or 0) > SOME else "")


def _gpus(count: int | None) -> str:
    return "more than 8 GPUs" if count is None else f"{count} GPU{'s' if count > 1 else ''}"


def _gb(count: float) -> str:
    return f"{count / 1e9:.0f} GB"
