"""What the attention of one forward has to know, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """Who attends to what in one forward of b sequences, whose t new tokens stand one sequence after another.

    On the device, int64: ``slot_mapping`` [t], ``block_tables`` [b, n], ``tree_mask`` [t, words], and ``lens`` [3, b], which
    are the tokens of each sequence in the cache already, its new ones, and those at its end that are a tree. ``lens_cpu``
    is the same on the host, for what is launched in shapes that depend on it. A new token sees every token of its sequence
    up to itself, in a tree those whose bits are set and all before the tree.
    """

    slot_mapping: Tensor
    block_tables: Tensor
    tree_mask: Tensor
    lens: Tensor
    lens_cpu: NDArray[np.int64]
