"""Attention in plain torch: gather the blocks of every sequence, then attend under a mask.

Query heads that share a KV head are folded into its queries, so that keys and values are read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import sub

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.attention import Kernels
from engine.kernels.layers import ReferenceOps
from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV, Window
from engine.kernels.rotary import Rotary

SHORT = 16
GATHERED = 1 << 21
WORD = 64
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """n consecutive sequences that attend together, each with up to ``longest`` new tokens.

    Their new tokens are ``start`` to ``stop`` of the forward's. ``padded`` [n * longest] places each sequence's tokens in a
    rectangle (indices from ``start``), ``flat`` takes them out again; None where all sequences have the same number.
    ``window``: their blocks, of which ``seen`` tokens are theirs. ``mask`` [n, 1, longest, tokens of the window] is 0 where
    a new token may look and -inf elsewhere; None where each sees all ``seen`` tokens. No window: one sequence that begins
    here, so that plain causal attention over its new tokens is all there is.
    """

    start: int
    stop: int
    n: int
    longest: int
    padded: Tensor | None = None
    flat: Tensor | None = None
    window: Window | None = None
    seen: int = 0
    mask: Tensor | None = None


class ReferenceAttention:
    """Attention of one forward, segment by segment."""

    def __init__(self, kv: PagedKV, metadata: AttentionMetadata):
        self._kv, self._slots = kv, metadata.slot_mapping
        self._segments = list(segments(kv, metadata))

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        """Attention [t, heads * h], after keys and values were kept in the cache."""
        q, k, v = rotary.split(stacked)
        self._kv.write(layer, self._slots, k, v)
        if len(self._segments) == 1:
            return _attend(layer, self._kv, self._segments[0], q, k, v)
        return torch.cat([
            _attend(layer, self._kv, segment, *(x[segment.start : segment.stop] for x in (q, k, v)))
            for segment in self._segments
        ])


def _attend(layer: int, kv: PagedKV, segment: Segment, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if segment.window is None:
        return _causal(q, k, v)
    n, longest, heads, group = segment.n, segment.longest, kv.kv_heads, q.shape[1] // kv.kv_heads
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


def segments(kv: PagedKV, metadata: AttentionMetadata) -> Iterator[Segment]:
    """The forward cut into sequences that attend together."""
    start = 0
    for group in _groups(kv, *metadata.lens_cpu.tolist()):
        segment = _segment(kv, metadata, group, start)
        yield segment
        start = segment.stop


def _groups(kv: PagedKV, context: list[int], whole: list[int], tree: list[int]) -> Iterator[slice]:
    """Runs of sequences of one kind: single tokens, a few tokens, trees; of longer ones each is alone.

    On a CPU a run is cut into about as many sequences as have ``GATHERED`` bytes of keys and values in a layer, so that they
    stay in its cache and a long sequence does not pad all the others.
    """

    def kind(i: int) -> int:
        new = whole[i] - context[i]
        return -1 if tree[i] < whole[i] else 2 + i if new > SHORT else int(new > 1)

    if len(whole) == 1:
        yield slice(0, 1)
        return
    first = 0
    for _, run in groupby(range(len(whole)), kind):
        last = first + len(list(run))
        tokens = (last - first) * max(context[first:last])
        count = max(1, round(tokens * kv.token_bytes / GATHERED)) if kv.device.type == "cpu" else 1
        size = -(-(last - first) // count)
        yield from (slice(begin, min(begin + size, last)) for begin in range(first, last, size))
        first = last


def _segment(kv: PagedKV, metadata: AttentionMetadata, group: slice, start: int) -> Segment:
    context, whole, tree = metadata.lens_cpu[:, group].tolist()
    new = list(map(sub, whole, context))
    n, longest, seen, stop = len(new), max(new), max(whole), start + sum(new)
    in_tree = tree[0] < whole[0]
    if n == 1 and context[0] == 0 and not in_tree:
        return Segment(start, stop, n, longest)
    padded, flat = (None, None) if min(new) == longest else _rectangle(np.array(new), longest, kv.device)
    window = kv.window(metadata.block_tables[group, : -(-seen // kv.block_size)])
    width, mask = window.keys.shape[2], None
    if in_tree:
        words = metadata.tree_mask[start:stop]
        words = words if padded is None else words.index_select(0, padded)
        mask = _mask(hidden_in_tree(metadata.lens[2, group], words.view(n, longest, -1), width), kv.data.dtype)
    elif longest > 1 or min(whole) < seen:
        mask = _mask(hidden_causally(metadata.lens[0, group], longest, width), kv.data.dtype)
    return Segment(start, stop, n, longest, padded, flat, window, seen, mask)


def _mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -torch.inf).unsqueeze(1)


def _rectangle(counts: Ints, longest: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices that place uneven sequences in a rectangle, filled with their last token, and out of it again."""
    places = np.arange(longest)
    begin = np.cumsum(counts) - counts
    padded = begin[:, None] + np.minimum(places, counts[:, None] - 1)
    flat = np.flatnonzero(places < counts[:, None])
    return torch.from_numpy(padded.ravel()).to(device), torch.from_numpy(flat).to(device)


def hidden_causally(context_lens: Tensor, longest: int, width: int) -> Tensor:
    """[n, longest, width]: which of the first ``width`` tokens of its sequence each new token does not see."""
    places = torch.arange(max(longest, width), device=context_lens.device)
    return places[:width] > (context_lens.unsqueeze(1) + places[:longest]).unsqueeze(2)


def hidden_in_tree(tree_starts: Tensor, tree_mask: Tensor, width: int) -> Tensor:
    """[n, longest, width] as above, where bits of ``tree_mask`` [n, longest, words] say what is seen of a tree."""
    node = torch.arange(width, device=tree_mask.device) - tree_starts.unsqueeze(1)
    n, longest, words = tree_mask.shape
    bit = node.clamp(0, WORD * words - 1)
    if words > 1:
        tree_mask = tree_mask.gather(2, (bit // WORD).unsqueeze(1).expand(n, longest, width))
        bit = bit % WORD
    seen = (tree_mask >> bit.unsqueeze(1)) & 1
    return (seen == 0) & (node >= 0).unsqueeze(1)


KERNELS = Kernels(ReferenceAttention, ReferenceOps(), reads_unwritten=True)
