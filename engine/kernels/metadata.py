"""What the attention of one forward has to know, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """Who attends to what in one forward of b sequences, whose t new tokens stand one sequence after another.

    On the device, int64: ``slot_mapping`` [t] where new keys and values are kept, ``block_tables`` [b, n], and ``lens``
    [3, b]: how many tokens of each sequence are in the cache already, how many there are with the new ones, and how many
    stand before its tree, which is all of them where it has none. A new token sees every token up to itself, but in a tree
    those before the tree and the nodes j whose bit ``tree_mask`` [t, words] has. The last bit is never set.
    ``lens_cpu``: ``lens`` on the host, for what is launched in shapes that depend on it.
    """

    slot_mapping: Tensor
    block_tables: Tensor
    tree_mask: Tensor
    lens: Tensor
    lens_cpu: NDArray[np.int64]
