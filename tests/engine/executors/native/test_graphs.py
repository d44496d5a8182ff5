"""What is captured ahead of time is what steps will ask for, and nothing is captured later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import (
    MOST_SEQUENCES,
    MOST_TOKENS,
    NOBODY,
    Bucket,
    Graphs,
    StepBuffers,
    Tables,
    bucket_for,
    decoding_buckets,
    packed,
    uneven_buckets,
    unpacked,
)
from engine.kernels.metadata import tiles_of

GROUP = 4


def step(query_lens: list[int], words: int = 0, last_only: bool = False) -> ForwardInput:
    """New tokens 0, 1, .. of as many sequences as there are lengths, each with nothing before them."""
    lens, tokens = np.array(query_lens), np.arange(sum(query_lens))
    none = np.zeros(len(lens), np.int64)
    wanted = np.cumsum(lens) - 1 if last_only else tokens
    tables, mask = np.zeros((len(lens), 1), np.int64), np.zeros((len(tokens), words), np.int64)
    return ForwardInput(tokens, tokens, tokens, tables, none, lens, none, mask, wanted)


@example([2, *[1] * 8], False, False)
@example([2, *[1] * 40], True, False)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.booleans(), st.booleans())
def test_every_step_within_the_bounds_has_its_shape_captured(query_lens: list[int], trees: bool, last_only: bool) -> None:
    asked = step(query_lens, int(trees), last_only)
    captured = decoding_buckets(60) + uneven_buckets(60, MOST_TOKENS, GROUP, int(trees), not trees)
    bucket = bucket_for(asked, GROUP)
    if sum(query_lens) > MOST_TOKENS:
        assert bucket is None
        return
    assert bucket is not None
    assert bucket in captured or (not trees and len(asked.wanted) > bucket.sequences and bucket.wanted is None)
    assert bucket.tokens >= len(asked.tokens) and bucket.sequences >= len(query_lens)
    assert bucket.tiles >= sum(-(-length // bucket.tile) for length in query_lens)
    assert bucket.wanted is None or bucket.wanted >= len(asked.wanted)
    assert len(captured) == len(set(captured)) < 120


def test_shapes_stay_within_what_any_step_can_be() -> None:
    buckets = uneven_buckets(10_000, 17, GROUP, 1, last_only=False)
    assert max(bucket.tokens for bucket in buckets) == MOST_TOKENS
    assert [bucket.tokens for bucket in buckets] == sorted((bucket.tokens for bucket in buckets), reverse=True)
    assert {bucket.tokens for bucket in decoding_buckets(3)} == {4, 2, 1}
    assert bucket_for(step([MOST_TOKENS + 1]), GROUP) is None and bucket_for(step([MOST_TOKENS]), GROUP) is not None
    assert uneven_buckets(8, 3, GROUP, 1, last_only=False) == uneven_buckets(5, 3, GROUP, 1, last_only=False)


def test_of_a_prompt_beside_trees_the_logits_that_are_wanted_are_found() -> None:
    """Every token's logits are computed there, since more than one of a sequence are wanted."""

    def forward(tokens, positions, metadata, wanted):
        assert wanted is None
        return tokens[:, None].float()

    asked = step([3, 40], words=1)
    asked = replace(asked, wanted=np.array([0, 1, 2, 42]))
    logits = Graphs(forward, GROUP, 100, 4, torch.device("cpu")).run(asked)
    assert logits is not None and logits.ravel().tolist() == [0, 1, 2, 42]


def test_after_what_was_captured_ahead_nothing_else_is() -> None:
    shapes: list[int] = []

    def forward(tokens, positions, metadata, wanted):
        shapes.append(len(tokens))
        return torch.zeros(len(tokens), 3)

    graphs = Graphs(forward, GROUP, 100, 4, torch.device("cpu"))
    assert graphs.run(step([1, 1, 1])) is not None
    done: list[int] = []
    graphs.capture(decoding_buckets(2), lambda: done.append(1))
    assert len(done) == len(decoding_buckets(2))
    assert graphs.run(step([1, 1])) is not None and graphs.run(step([1, 1, 1])) is not None
    assert graphs.run(step([1] * 5)) is None and graphs.run(step([2, 2])) is None
    assert shapes == [4, 2, 4]


def test_the_largest_steps_have_a_shape_and_those_beyond_none() -> None:
    assert bucket_for(step([1] * MOST_SEQUENCES), GROUP) is not None
    assert bucket_for(step([1] * (MOST_SEQUENCES + 1)), GROUP) is None
    assert bucket_for(step([64] * (MOST_TOKENS // 64)), GROUP) is not None
    assert bucket_for(step([64] * (MOST_TOKENS // 64) + [1]), GROUP) is None


def test_a_single_node_a_tree_is_no_plain_decoding() -> None:
    bucket = bucket_for(step([1, 1], words=1), GROUP)
    assert bucket is not None and bucket.words == 1 and bucket not in decoding_buckets(8)


def test_shapes_hold_no_more_tiles_than_tokens() -> None:
    assert Bucket(32, 8, 4, 0, None).tiles == 8
    assert Bucket(8, 32, 4, 0, None).tiles == 16


def test_shapes_reach_other_ranks_as_they_are() -> None:
    buckets = [*decoding_buckets(8), *uneven_buckets(8, 3, GROUP, 1, last_only=True)]
    assert unpacked(packed(buckets)) == buckets


def test_what_a_graph_reads_is_the_step_and_nobody_beyond_it() -> None:
    """Also after larger steps of its shape, whose numbers still lie in the buffers."""
    read = []

    def forward(tokens, positions, metadata, wanted):
        parts = (tokens, positions, metadata.slot_mapping, metadata.starts, metadata.lens, metadata.tiles, metadata.tree_mask)
        read.append([part.clone().numpy() for part in parts])
        return torch.arange(len(tokens))[:, None]

    graphs, last = Graphs(forward, GROUP, 9, 4, torch.device("cpu")), 9
    for query_lens in ([3, 2, 3, 1, 2], [3, 3, 3, 3], [2, 1, 3], [1, 3]):
        plain, b = step(query_lens, words=1), len(query_lens)
        t = len(plain.tokens)
        asked = replace(plain, tree_mask=1 + plain.tokens[:, None], context_lens=np.full(b, 7), tree_lens=plain.query_lens - 1)
        given = torch.from_numpy(asked.tokens + 50)
        logits = graphs.run(asked, given)
        assert logits is not None and len(logits) == t
        tokens, positions, slots, starts, lens, tiles, mask = read[-1]
        np.testing.assert_array_equal(tokens[:t], given)
        np.testing.assert_array_equal(positions[:t], np.minimum(asked.positions, last))
        np.testing.assert_array_equal(slots[:t], asked.slot_mapping)
        assert (slots[t:] == NOBODY).all()
        np.testing.assert_array_equal(starts[:b], np.cumsum(query_lens) - query_lens)
        np.testing.assert_array_equal(lens[:, :b], [[7] * b, asked.query_lens + 7, [8] * b])
        bucket = bucket_for(asked, GROUP)
        assert bucket is not None
        own = tiles_of(asked.query_lens, bucket.tile)
        np.testing.assert_array_equal(tiles[:, : own.shape[1]], own)
        assert (tiles[0, own.shape[1] :] == NOBODY).all()
        np.testing.assert_array_equal(mask[:t], asked.tree_mask)


def test_a_mask_on_the_device_goes_before_the_steps_own() -> None:
    masks = []

    def forward(tokens, positions, metadata, wanted):
        masks.append(metadata.tree_mask.clone())
        return tokens[:, None]

    graphs = Graphs(forward, GROUP, 100, 4, torch.device("cpu"))
    graphs.run(step([2, 2], words=1), tree_mask=torch.full((4, 1), 5))
    assert masks[0][:4].eq(5).all() and graphs.run(step([1, 1]), tree_mask=torch.zeros(2, 0, dtype=torch.int64)) is not None


def test_a_sequence_longer_than_the_tables_is_no_step_of_a_graph() -> None:
    graphs = Graphs(lambda tokens, *rest: tokens[:, None], GROUP, 100, 1, torch.device("cpu"))
    assert graphs.run(replace(step([1]), block_tables=np.zeros((1, 2), np.int64))) is None
    assert graphs.run(step([1])) is not None


def test_buffers_are_at_first_those_of_nobody() -> None:
    """A graph is captured over them, and must write no keys and values."""
    cpu = torch.device("cpu")
    tables = Tables(MOST_SEQUENCES, 4, cpu, lambda event: None)
    for bucket in (*decoding_buckets(20), *uneven_buckets(20, 3, GROUP, 1, last_only=True)):
        there = StepBuffers(bucket, tables, cpu).device
        assert there["slots"].eq(NOBODY).all() and there["tiles"].eq(NOBODY).all()


def test_the_largest_shape_comes_first() -> None:
    """Its memory serves those after it."""
    assert [bucket.tokens for bucket in decoding_buckets(20)] == [24, 16, 8, 4, 2, 1]
