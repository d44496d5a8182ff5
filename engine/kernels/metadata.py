"""What the attention of one forward has to know, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MOST_ROWS = 64
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """Who attends to what in one forward of b sequences, whose t new tokens stand one sequence after another.

    On the device, int64: ``slot_mapping`` [t] where new keys and values are kept, ``block_tables`` [b, n], and ``lens``
    [3, b]: how many tokens of each sequence are in the cache already, how many there are with the new ones, and how many
    stand before its tree, which is all of them where it has none. A new token sees every token up to itself, but in a tree
    those before the tree and the nodes j whose bit ``tree_mask`` [t, words] has. The last bit is never set. ``starts`` [b]
    the place of each sequence's first new token. ``tiles`` [2, n]: up to ``tile_queries`` new tokens of a sequence each, by
    sequence (-1 for none) and the first of them. ``lens_cpu``: ``lens`` on the host, for what is launched in shapes that
    depend on it.
    """

    slot_mapping: Tensor
    block_tables: Tensor
    tree_mask: Tensor
    lens: Tensor
    starts: Tensor
    tiles: Tensor
    tile_queries: int
    lens_cpu: NDArray[np.int64]


def tile_size(longest: int, group: int) -> int:
    """New tokens of a tile, of sequences with at most ``longest`` of them and ``group`` query heads a KV head: enough rows
    for the matrix units, and no more than a sequence has."""
    return min(1 << (longest - 1).bit_length(), max(1, MOST_ROWS // group))


def tiles_of(query_lens: Ints, size: int) -> Ints:
    """Tiles [2, n] of ``size`` new tokens: sequence, and the first new token."""
    counts = -(-query_lens // size)
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    return np.array([np.repeat(np.arange(len(counts)), counts), places * size])
