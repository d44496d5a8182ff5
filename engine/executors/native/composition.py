"""One forward of a step: its row of tokens, where they stand, and who attends to what."""

from __future__ import annotations

from collections.abc import Sequence
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
    slots, segments, start = [], [], 0
    for part in parts:
        row = np.repeat(np.arange(len(part.rows)), part.counts)
        slots.append(sequences.slots(part.rows[row], part.base[row] + part.drafted + places_in(part.counts)))
        segments.append(_segment(kv, sequences, part, start))
        start += len(part.tokens)
    tokens = torch.from_numpy(np.concatenate([part.tokens for part in parts])).to(decoder.device)
    positions = np.minimum(np.concatenate([part.positions for part in parts]), decoder.config.context - 1)
    attention = PagedAttention(kv, kv.head_rows(np.concatenate(slots)), segments, kernel)
    return decoder.hidden(tokens, torch.from_numpy(positions).to(decoder.device), attention)


def _segment(kv: PagedKV, sequences: Sequences, part: Part, start: int) -> Segment:
    n, stop = len(part.rows), start + len(part.tokens)
    longest = int(part.counts.max())
    if n == 1 and part.base[0] == 0 and part.seen is None:
        return Segment(start, stop, n, longest, fresh=True)
    blocks = -(-int((part.base + part.drafted + part.counts).max()) // kv.block_size)
    padded, flat = _rectangle(part.counts, longest)
    mask = torch.from_numpy(_mask(part.base, longest, part.seen, blocks * kv.block_size)).to(kv.k)
    return Segment(start, stop, n, longest, padded, flat, kv.block_rows(sequences.table[part.rows, :blocks]), mask)


def _rectangle(counts: Ints, longest: int) -> tuple[Tensor | None, Tensor | None]:
    """Indices that place uneven sequences in a rectangle, filled with their last token, and out of it again."""
    if (counts == longest).all():
        return None, None
    begin = np.cumsum(counts) - counts
    padded = begin[:, None] + np.minimum(np.arange(longest), counts[:, None] - 1)
    flat = np.repeat(np.arange(len(counts)) * longest, counts) + places_in(counts)
    return torch.from_numpy(padded.ravel()), torch.from_numpy(flat)


def _mask(base: Ints, longest: int, seen: NDArray[np.bool_] | None, width: int) -> NDArray[np.float32]:
    """[n, longest, width]: 0 for the tokens before ``base`` and those after it that are seen, else -inf."""
    places = np.arange(width) - base[:, None]
    if seen is None:
        allowed = places[:, None, :] <= np.arange(longest)[:, None]
    else:
        after = seen.shape[2]
        inside = np.broadcast_to(np.clip(places, 0, after - 1)[:, None, :], (len(base), longest, width))
        among = np.take_along_axis(seen, inside, axis=2) & (places < after)[:, None, :]
        allowed = (places < 0)[:, None, :] | among
    return np.where(allowed, np.float32(0), np.float32(-np.inf))
