"""FlashInfer's attention over the paged KV cache. It is planned on the host for each forward, so that no graph captures it."""

from __future__ import annotations

from functools import cache

import flashinfer
import torch
from torch import Tensor

from engine.kernels.attention import Kernels
from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV
from engine.kernels.pages import pages_of
from engine.kernels.rotary import Rotary
from engine.kernels.triton.attention import TritonAttention
from engine.kernels.triton.beams import expand
from engine.kernels.triton.layers import TritonOps
from engine.kernels.triton.trees import TritonTrees

WORKSPACE_BYTES = 256 << 20


class FlashInferAttention:
    """Attention of one forward; Triton turns queries and keys and keeps keys and values."""

    def __init__(self, kv: PagedKV, metadata: AttentionMetadata):
        self._kv, self._metadata, self._kept = kv, metadata, TritonAttention(kv, metadata)
        self._planned: flashinfer.BatchPrefillWithPagedKVCacheWrapper | None = None

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        kv = self._kv
        if self._planned is None:
            self._planned = self._plan(rotary.heads, stacked.dtype)
        q = self._kept.turn_and_keep(layer, stacked, rotary)
        pages = kv.data[layer].view(kv.blocks, kv.block_size, 2, kv.kv_heads, kv.head_size)
        attended: Tensor = self._planned.run(q, (pages[:, :, 0], pages[:, :, 1]))
        return attended.flatten(1)

    def _plan(self, heads: int, dtype: torch.dtype) -> flashinfer.BatchPrefillWithPagedKVCacheWrapper:
        kv, found = self._kv, pages_of(self._metadata, self._kv.block_size)
        wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(_workspace(kv.device), "NHD", backend="fa2")
        bounds = (found.first_query, found.first_page, found.last)
        queries, begins, last = (torch.from_numpy(numbers).to(kv.device) for numbers in bounds)
        wrapper.plan(
            queries, begins, found.pages, last, heads, kv.kv_heads, kv.head_size, kv.block_size,
            custom_mask=found.mask, causal=found.mask is None, q_data_type=dtype, kv_data_type=dtype,
        )
        return wrapper


@cache
def _workspace(device: torch.device) -> Tensor:
    return torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=device)


KERNELS = Kernels(FlashInferAttention, TritonOps(), expand, TritonTrees())
