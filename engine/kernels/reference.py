"""Attention in plain torch: gather the blocks of every sequence, then attend under a mask."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.kernels.paged_kv import PagedKV

if TYPE_CHECKING:
    from engine.kernels.attention import Segment


def attend(layer: int, kv: PagedKV, segment: Segment, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention [t, heads * h] of a segment's queries q [t, heads, h]; k and v [t, kv_heads, h] are in ``kv`` already."""
    if segment.fresh:
        return _causal(q, k, v)
    assert segment.block_rows is not None and segment.mask is not None
    sequences, longest, heads = segment.sequences, segment.longest, q.shape[1]
    keys, values = kv.gather(layer, segment.block_rows, sequences)
    if segment.padded is not None:
        q = q.index_select(0, segment.padded)
    group = heads // kv.kv_heads
    grouped = q.view(sequences, longest, kv.kv_heads, group, -1).transpose(1, 2)
    grouped = grouped.reshape(sequences, kv.kv_heads, longest * group, -1) * (1 / sqrt(kv.head_size))
    scores = torch.matmul(grouped, keys.transpose(2, 3))
    masked = scores.view(sequences, kv.kv_heads, longest, group, -1).add_(segment.mask[:, None, :, None])
    out = torch.matmul(masked.softmax(-1).view_as(scores), values)
    out = out.view(sequences, kv.kv_heads, longest, group, -1).transpose(1, 2).reshape(sequences * longest, -1)
    return out if segment.flat is None else out.index_select(0, segment.flat)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group = q.shape[1] // k.shape[1]
    keys, values = (x.transpose(0, 1).repeat_interleave(group, 0)[None] for x in (k, v))
    out = F.scaled_dot_product_attention(q.transpose(0, 1)[None], keys, values, is_causal=True)
    return out[0].transpose(0, 1).reshape(q.shape[0], -1)
