"""The nodes to verify, laid out in a row: each sequence's root, then its selected nodes, parents before children."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.executors.native.forward_input import see, words_for
from engine.plan import TokenTrees

Ints = NDArray[np.int64]
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class TreeRows:
    """The trees of n sequences. A node's number in its tree is 0 for the root; layer l of the candidates has depth l + 1.

    ``counts`` [n] nodes, roots included; ``number`` [n, d, w] a candidate's number, NOWHERE where it is not selected;
    ``parent`` [n, d, w] its parent's number. For each selected node, in order: ``row``, ``depth``, ``token`` and the
    number ``place``.
    """

    counts: Ints
    number: Ints
    parent: Ints
    row: Ints
    depth: Ints
    token: Ints
    place: Ints

    @property
    def longest(self) -> int:
        return int(self.counts.max())

    def ancestors(self) -> Ints:
        """The tree mask [nodes, words], trees one after another: a node sees its path down from the root, itself included."""
        begin = np.cumsum(self.counts) - self.counts
        node, parent = begin[self.row] + self.place, begin[self.row] + self.parent[self.number != NOWHERE]
        itself = np.arange(int(self.counts.sum()))
        mask = np.zeros((len(itself), words_for(self.longest)), np.int64)
        see(mask, itself, itself - np.repeat(begin, self.counts))
        for depth in range(1, self.number.shape[1] + 1):
            layer = self.depth == depth
            mask[node[layer]] |= mask[parent[layer]]
        return mask


def lay_out(trees: TokenTrees, tokens: Ints) -> TreeRows:
    """Number the selected nodes; ``tokens`` [n, d, w] are the candidates' tokens."""
    selected, parents = trees.selected, trees.candidates.parent
    row, layer, place = np.nonzero(selected)
    inner = selected.sum(axis=(1, 2))
    first = np.cumsum(inner) - inner
    in_tree = np.arange(len(row)) - first[row] + 1
    number = np.full(selected.shape, NOWHERE)
    number[row, layer, place] = in_tree
    parent = np.zeros(selected.shape, np.int64)
    if selected.shape[1] > 1:
        parent[:, 1:] = np.take_along_axis(number[:, :-1], parents[:, 1:], axis=2)
    return TreeRows(inner + 1, number, parent, row, layer + 1, tokens[row, layer, place], in_tree)
