"""The executor of a native run: how steps run on a device, and how many tokens its memory has room for."""

from __future__ import annotations

import torch

from engine.errors import InputError
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.memory import free_unused
from engine.models.decoder import Decoder
from exps.figures.figure import Execution
from exps.run.native.models import Loaded
from hosting.device import Device

SPARE = 0.03


def executor_on(device: Device, execution: Execution, loaded: Loaded, drafts: bool, capacity: Capacity) -> NativeExecutor:
    """An executor with room for ``capacity``. InputError where the device's memory has none.

    On GPUs with Triton's kernels, graphs and overlap, unless ``execution`` says otherwise.
    """
    pair = loaded.pair
    draft = pair.draft if drafts else None
    if not device.gpus:
        return NativeExecutor(pair.target, draft, capacity, make_runner=loaded.make_runner)
    free_unused(pair.target.device)
    kernel = execution.attention or "triton"
    try:
        return NativeExecutor(
            pair.target, draft, capacity, kernel, execution.graphs, execution.overlap, make_runner=loaded.make_runner
        )
    except torch.OutOfMemoryError as error:
        free, _ = torch.cuda.mem_get_info()
        tokens = int(free * (1 - SPARE)) // token_bytes(loaded, drafts)[0]
        raise InputError(
            f"a KV cache of {capacity.blocks * 16} tokens does not fit {device.title}, which has room for {tokens};"
            " end what else uses it, or measure it again with `cli.py profile`."
        ) from error


def token_bytes(loaded: Loaded, drafts: bool) -> list[int]:
    """Bytes that a token takes in the KV caches of each rank: in that of its part of the target and, on rank 0 where it
    drafts, in the draft's."""
    pair = loaded.pair
    part = _token_bytes(pair.target)
    others = [part] * (loaded.ranks.split.of - 1 if loaded.ranks is not None else 0)
    return [part + (_token_bytes(pair.draft) if drafts and pair.draft is not None else 0), *others]


def free_tokens(loaded: Loaded, drafts: bool) -> int:
    """Tokens of KV cache for which every rank has room, ``SPARE`` of its memory left over: the rank with the least decides,
    since each keeps every token's keys and values for its own heads."""
    each = zip(loaded.memory(), token_bytes(loaded, drafts), strict=True)
    return min(int(memory.free - SPARE * memory.total) // size for memory, size in each)


def _token_bytes(decoder: Decoder) -> int:
    config = decoder.config
    return 2 * config.layers * config.kv_heads * config.head_size * decoder.dtype.itemsize
