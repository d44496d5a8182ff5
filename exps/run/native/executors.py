"""The executor of a native run: how steps run on a device."""

from __future__ import annotations

import gc

import torch

from engine.errors import InputError
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.models.pair import Pair
from exps.figures.figure import Execution
from hosting.device import Device

SPARE = 0.03


def executor_on(device: Device, execution: Execution, pair: Pair, drafts: bool, capacity: Capacity) -> NativeExecutor:
    """An executor with room for ``capacity``. InputError where the device's memory has none.

    On GPUs with Triton's kernels, graphs and overlap, unless ``execution`` says otherwise.
    """
    draft = pair.draft if drafts else None
    if not device.gpus:
        return NativeExecutor(pair.target, draft, capacity)
    gc.collect()
    torch.cuda.empty_cache()
    kernel = execution.attention or "triton"
    try:
        return NativeExecutor(pair.target, draft, capacity, kernel, execution.graphs, execution.overlap)
    except torch.OutOfMemoryError as error:
        free, _ = torch.cuda.mem_get_info()
        tokens = int(free * (1 - SPARE)) // token_bytes(pair, drafts)
        raise InputError(
            f"a KV cache of {capacity.blocks * 16} tokens does not fit {device.title}, which has room for {tokens};"
            " end what else uses it, or measure it again with `cli.py profile`."
        ) from error


def token_bytes(pair: Pair, drafts: bool) -> int:
    """Bytes that a token takes in the KV caches of the target and, where it drafts, of the draft."""
    decoders = [pair.target, pair.draft] if drafts and pair.draft is not None else [pair.target]
    sizes = (2 * one.config.layers * one.config.kv_heads * one.config.head_size * one.dtype.itemsize for one in decoders)
    return sum(sizes)
