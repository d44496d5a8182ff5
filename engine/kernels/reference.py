"""Attention in plain torch: gather the blocks of every sequence, then attend under a mask.

Query heads that share a KV head are folded into its queries, so that keys and values are read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV, Window

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
    a new token may look and -inf elsewhere; None where it sees all that is theirs. No window: one sequence that begins here,
    so that plain causal attention over its new tokens is all there is.
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

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention [t, heads * h] of queries q [t, heads, h], after k and v [t, kv_heads, h] were kept in the cache."""
        self._kv.write(layer, self._slots, k, v)
        if len(self._segments) == 1:
            return _attend(layer, self._kv, self._segments[0], q, k, v)
        return torch.cat([
            _attend(layer, self._kv, segment, *(x[segment.start : segment.stop] for x in (q, k, v)))
            for segment in self._segments
        ])  # fmt: skip


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
    for group in _groups(kv, metadata.lens_cpu):
        segment = _segment(kv, metadata, group, start)
        yield segment
        start = segment.stop


def _groups(kv: PagedKV, lens: Ints) -> Iterator[slice]:
    """Runs of sequences of one kind: single tokens, a few tokens, trees; of longer ones each is alone.

    On a CPU a run is cut into about as many sequences as have ``GATHERED`` bytes of keys and values in a layer, so that they
    stay in its cache and a long sequence does not pad all the others.
    """
    context, new, tree = lens
    if len(context) == 1:
        yield slice(0, 1)
        return
    kind = np.where(tree > 0, -1, np.where(new <= SHORT, new > 1, 2 + np.arange(len(new))))
    edges = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(kind)]
    for first, last in pairwise(edges):
        tokens = (last - first) * int((context + np.where(tree > 0, new - tree, 0))[first:last].max())
        count = max(1, round(tokens * kv.token_bytes / GATHERED)) if kv.device.type == "cpu" else 1
        size = -(-(last - first) // count)
        yield from (slice(begin, min(begin + size, last)) for begin in range(first, last, size))


def _segment(kv: PagedKV, metadata: AttentionMetadata, group: slice, start: int) -> Segment:
    context, new, tree = metadata.lens_cpu[:, group]
    n, longest, stop = len(new), int(new.max()), start + int(new.sum())
    if n == 1 and context[0] == 0 and tree[0] == 0:
        return Segment(start, stop, n, longest)
    padded, flat = _rectangle(new, longest, kv.device)
    seen = int((context + new).max())
    window = kv.window(metadata.block_tables[group, : -(-seen // kv.block_size)])
    mask = None
    if n > 1 or longest > 1 or tree[0] > 1:
        width, lens = window.keys.shape[2], metadata.lens[:, group]
        if tree[0]:
            words = metadata.tree_mask[start:stop]
            words = words if padded is None else words.index_select(0, padded)
            hidden = ~seen_in_tree(lens, words.view(n, longest, -1), width)
        else:
            hidden = ~seen_causally(lens, longest, width)
        mask = torch.zeros(hidden.shape, dtype=kv.data.dtype, device=kv.device).masked_fill_(hidden, -torch.inf)[:, None]
    return Segment(start, stop, n, longest, padded, flat, window, seen, mask)


def _rectangle(counts: Ints, longest: int, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Indices that place uneven sequences in a rectangle, filled with their last token, and out of it again."""
    if (counts == longest).all():
        return None, None
    places = np.arange(longest)
    begin = np.cumsum(counts) - counts
    padded = begin[:, None] + np.minimum(places, counts[:, None] - 1)
    flat = np.flatnonzero(places < counts[:, None])
    return torch.from_numpy(padded.ravel()).to(device), torch.from_numpy(flat).to(device)


def seen_causally(lens: Tensor, longest: int, width: int) -> Tensor:
    """[n, longest, width]: which of the first ``width`` tokens of its sequence each new token sees; ``lens`` [3, n]."""
    new = torch.arange(longest, device=lens.device)
    return torch.arange(width, device=lens.device) <= (lens[0, :, None] + new)[:, :, None]


def seen_in_tree(lens: Tensor, tree_mask: Tensor, width: int) -> Tensor:
    """[n, longest, width] as above, where bits of ``tree_mask`` [n, longest, words] say what is seen of a tree."""
    context, new, tree = lens[:, :, None]
    node = torch.arange(width, device=lens.device) - (context + new - tree)
    n, longest, words = tree_mask.shape
    inside = node.clamp(0, WORD * words - 1)
    word = tree_mask.gather(2, (inside // WORD)[:, None].expand(n, longest, width))
    bit = (word >> (inside % WORD)[:, None]) & 1
    return (node < 0)[:, None] | (bit.bool() & (node < tree)[:, None])
