"""One forward of a step: its row of tokens, where they stand, and who attends to what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.sequences import Sequences
from engine.kernels.attention import PagedAttention, Segment
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder

Ints = NDArray[np.int64]
GATHERED = 1 << 21


@dataclass(frozen=True, slots=True)
class Part:
    """New tokens of some sequences that attend together.

    Sequence ``rows[i]`` gets ``counts[i]`` new tokens; in its cache they follow ``base[i]`` tokens that all of them see and
    ``drafted`` more. ``tokens`` and ``positions`` are those of all sequences one after another. ``seen`` [n, longest,
    drafted + longest] tells which new token sees which of the drafted and the new ones; None is causal.
    """

    rows: Ints
    base: Ints
    counts: Ints
    tokens: Ints
    positions: Ints
    seen: NDArray[np.bool_] | None = None
    drafted: int = 0


def known_tokens(sequences: Sequences, rows: Ints, first: Ints, counts: Ints) -> Part:
    """The tokens ``first`` to ``first + counts`` that sequences have already: a prefill or a catching up."""
    row = np.repeat(np.arange(len(rows)), counts)
    positions = first[row] + places_in(counts)
    return Part(rows, first, counts, sequences.tokens[rows[row], positions], positions)


def places_in(counts: Ints) -> Ints:
    """0 to counts[i] - 1 for each i, one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def run(decoder: Decoder, kv: PagedKV, sequences: Sequences, parts: Sequence[Part], kernel: str) -> Tensor:
    """Hidden states [t, hidden] of the new tokens of all parts, in their order; keys and values are kept."""
    slots: list[Ints] = []
    segments: list[Segment] = []
    start = 0
    for part in parts:
        rows, places = part.rows, part.base + part.drafted
        if len(part.tokens) > len(rows):
            rows, places = np.repeat(rows, part.counts), np.repeat(places, part.counts) + places_in(part.counts)
        slots.append(sequences.slots(rows, places))
        segments += _segments(kv, sequences, part, start)
        start += len(part.tokens)
    tokens = torch.from_numpy(_joined([part.tokens for part in parts])).to(decoder.device)
    positions = np.minimum(_joined([part.positions for part in parts]), decoder.config.context - 1)
    attention = PagedAttention(kv, kv.index(_joined(slots)), segments, kernel)
    return decoder.hidden(tokens, torch.from_numpy(positions).to(decoder.device), attention)


def _joined(arrays: Sequence[Ints]) -> Ints:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _segments(kv: PagedKV, sequences: Sequences, part: Part, start: int) -> Iterator[Segment]:
    n = len(part.rows)
    if n == 1 and part.base[0] == 0 and part.seen is None:
        count = len(part.tokens)
        yield Segment(start, start + count, 1, count, fresh=True)
        return
    for group in _groups(kv, n, int(part.base.max())):
        segment = _segment(kv, sequences, part, group, start)
        yield segment
        start = segment.stop


def _segment(kv: PagedKV, sequences: Sequences, part: Part, group: slice, start: int) -> Segment:
    rows, base, counts = part.rows[group], part.base[group], part.counts[group]
    new, longest, padded, flat = len(rows), 1, None, None
    if len(part.tokens) > len(part.rows):
        new, longest = int(counts.sum()), int(counts.max())
        padded, flat = _rectangle(counts, longest, kv.device)
    last = int((base + counts).max()) + part.drafted
    window = kv.window(sequences.table[rows, : -(-last // kv.block_size)])
    mask = None
    if len(rows) > 1 or longest > 1 or part.drafted:
        seen = None if part.seen is None else part.seen[group, :longest]
        mask = torch.from_numpy(_mask(base, longest, seen, window.keys.shape[2])).to(kv.data)
    return Segment(start, start + new, len(rows), longest, padded, flat, window, last, mask)


def _groups(kv: PagedKV, n: int, tokens: int) -> list[slice]:
    """Sequences that attend together: on a CPU about as many as have ``GATHERED`` bytes of keys and values in a layer, so
    that they stay in its cache and a long sequence does not pad all the others."""
    if n == 1:
        return [slice(0, 1)]
    count = max(1, round(n * tokens * kv.token_bytes / GATHERED)) if kv.device.type == "cpu" else 1
    size = -(-n // count)
    return [slice(first, first + size) for first in range(0, n, size)]


def _rectangle(counts: Ints, longest: int, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Indices that place uneven sequences in a rectangle, filled with their last token, and out of it again."""
    if (counts == longest).all():
        return None, None
    begin = np.cumsum(counts) - counts
    padded = begin[:, None] + np.minimum(np.arange(longest), counts[:, None] - 1)
    flat = np.repeat(np.arange(len(counts)) * longest, counts) + places_in(counts)
    return torch.from_numpy(padded.ravel()).to(device), torch.from_numpy(flat).to(device)


def _mask(base: Ints, longest: int, seen: NDArray[np.bool_] | None, width: int) -> NDArray[np.float32]:
    """[n, 1, longest, width]: 0 for the tokens before ``base`` and those after it that are seen, else -inf."""
    if seen is None:
        allowed = np.arange(width) <= (base[:, None] + np.arange(longest))[:, :, None]
    else:
        places, after = np.arange(width) - base[:, None], seen.shape[2]
        inside = np.broadcast_to(np.clip(places, 0, after - 1)[:, None, :], (len(base), longest, width))
        among = np.take_along_axis(seen, inside, axis=2) & (places < after)[:, None, :]
        allowed = (places < 0)[:, None, :] | among
    return np.where(allowed[:, None], np.float32(0), np.float32(-np.inf))
