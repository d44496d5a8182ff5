"""Random token trees, and what they look like one node at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.plan import Candidates, TokenTrees

Ints = NDArray[np.int64]


@st.composite
def token_trees(draw: st.DrawFn, vocabulary: int = 4) -> tuple[TokenTrees, Ints]:
    """Trees of up to 4 requests and the tokens of their candidates; children of one parent have different tokens."""
    n, depth, width = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    parent = np.sort(rng.integers(0, width, (n, depth, width)), axis=2)
    parent[:, 0] = 0
    tokens = rng.permuted(np.broadcast_to(np.arange(vocabulary), (n, depth, vocabulary)), axis=2)[:, :, :width]
    selected = rng.random((n, depth, width)) < draw(st.floats(0, 1))
    for layer in range(1, depth):
        selected[:, layer] &= np.take_along_axis(selected[:, layer - 1], parent[:, layer], axis=1)
    trees = TokenTrees(Candidates(np.full((n, depth, width), 0.1), parent), selected)
    trees.check()
    return trees, tokens


def plain_tree(trees: TokenTrees, tokens: Ints, row: int) -> dict[int, list[tuple[int, int]]]:
    """(number, token) of the selected children of each node; the root is 0, the others count on layer by layer."""
    _, depth, width = tokens.shape
    numbers: dict[tuple[int, int], int] = {}
    children: dict[int, list[tuple[int, int]]] = {}
    for layer in range(depth):
        for place in range(width):
            if trees.selected[row, layer, place]:
                above = numbers[layer - 1, int(trees.candidates.parent[row, layer, place])] if layer else 0
                numbers[layer, place] = len(numbers) + 1
                children.setdefault(above, []).append((numbers[layer, place], int(tokens[row, layer, place])))
    return children
