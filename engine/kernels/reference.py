"""Attention in plain torch: gather the blocks of every sequence, then attend under a mask.

Query heads that share a KV head are folded into its queries, so that keys and values are read once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.kernels.paged_kv import PagedKV

if TYPE_CHECKING:
    from engine.kernels.attention import Segment


def attend(layer: int, kv: PagedKV, segment: Segment, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention [t, heads * h] of a segment's queries q [t, heads, h]; k and v [t, kv_heads, h] are in ``kv`` already."""
    if segment.fresh:
        return _causal(q, k, v)
    assert segment.window is not None
    n, longest, heads, group = segment.sequences, segment.longest, kv.kv_heads, q.shape[1] // kv.kv_heads
    keys, values = kv.gather(layer, segment.window)
    mask = segment.mask
    if mask is None:
        keys, values = keys[:, :, : segment.seen], values[:, :, : segment.seen]
    elif longest > 1:
        mask = mask.repeat_interleave(group, 2)
    if segment.padded is not None:
        q = q.index_select(0, segment.padded)
    folded = q.view(n, longest, heads, group, -1).transpose(1, 2).reshape(n, heads, longest * group, -1)
    out = F.scaled_dot_product_attention(folded, keys, values, attn_mask=mask)
    out = out.view(n, heads, longest, group, -1).transpose(1, 2).reshape(n * longest, -1)
    return out if segment.flat is None else out.index_select(0, segment.flat)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group = q.shape[1] // k.shape[1]
    keys, values = (x.transpose(0, 1).repeat_interleave(group, 0)[None] for x in (k, v))
    out = F.scaled_dot_product_attention(q.transpose(0, 1)[None], keys, values, is_causal=True)
    return out[0].transpose(0, 1).reshape(q.shape[0], -1)
