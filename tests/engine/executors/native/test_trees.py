"""Trees laid out in a row, and who sees whom."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from engine.executors.native.trees import NOWHERE, lay_out
from tests.engine.executors.native.trees import plain_tree, token_trees


@given(token_trees())
def test_the_layout_is_the_plain_one(drawn: tuple) -> None:  # type: ignore[type-arg]
    trees, tokens = drawn
    nodes = lay_out(trees, tokens)
    for row in range(len(tokens)):
        children = plain_tree(trees, tokens, row)
        mine = nodes.row == row
        assert nodes.counts[row] == 1 + sum(len(some) for some in children.values()) == 1 + mine.sum()
        assert nodes.place[mine].tolist() == list(range(1, nodes.counts[row]))
        by_number = dict(zip(nodes.place[mine].tolist(), nodes.token[mine].tolist(), strict=True))
        depth = dict(zip([0, *nodes.place[mine].tolist()], [0, *nodes.depth[mine].tolist()], strict=True))
        for above, some in children.items():
            for number, token in some:
                assert by_number[number] == token and depth[number] == depth[above] + 1
                where = nodes.number[row] == number
                assert where.sum() == 1 and nodes.parent[row][where] == above
    assert ((nodes.number == NOWHERE) == ~trees.selected).all()


@given(token_trees())
def test_a_node_sees_its_ancestors_and_itself(drawn: tuple) -> None:  # type: ignore[type-arg]
    trees, tokens = drawn
    nodes = lay_out(trees, tokens)
    bits = nodes.ancestors()
    assert len(bits) == nodes.counts.sum()
    for row, mask in enumerate(np.split(bits, np.cumsum(nodes.counts)[:-1])):
        above = {number: parent for parent, some in plain_tree(trees, tokens, row).items() for number, _ in some}
        for node in range(nodes.counts[row]):
            path, at = {node}, node
            while at:
                at = above[at]
                path.add(at)
            assert {j for j in range(64 * mask.shape[1]) if mask[node, j // 64] >> (j % 64) & 1} == path
