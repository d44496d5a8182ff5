"""What is captured ahead of time is what steps will ask for, and nothing is captured later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import MOST_TOKENS, Graphs, bucket_for, decoding_buckets, uneven_buckets

GROUP = 4


def step(query_lens: list[int], words: int = 0, last_only: bool = False) -> ForwardInput:
    """New tokens 0, 1, .. of as many sequences as there are lengths, each with nothing before them."""
    lens, tokens = np.array(query_lens), np.arange(sum(query_lens))
    none = np.zeros(len(lens), np.int64)
    wanted = np.cumsum(lens) - 1 if last_only else tokens
    tables, mask = np.zeros((len(lens), 1), np.int64), np.zeros((len(tokens), words), np.int64)
    return ForwardInput(tokens, tokens, tokens, tables, none, lens, none, mask, wanted)


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
