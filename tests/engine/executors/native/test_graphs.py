"""What is captured ahead of time is what steps will ask for, and nothing is captured later."""

from __future__ import annotations

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


@given(st.lists(st.integers(1, 9), min_size=1, max_size=96), st.booleans(), st.booleans())
def test_every_step_within_the_bounds_has_its_shape_captured(query_lens: list[int], trees: bool, last_only: bool) -> None:
    asked = step(query_lens, int(trees), last_only and not trees)
    captured = decoding_buckets(96) + uneven_buckets(96, 9, GROUP, int(trees), last_only and not trees)
    bucket = bucket_for(asked, GROUP)
    assert bucket in captured
    assert bucket.tokens >= len(asked.tokens) and bucket.sequences >= len(query_lens)
    assert bucket.tiles >= sum(-(-length // bucket.tile) for length in query_lens)
    assert len(captured) == len(set(captured)) < 120


def test_shapes_stay_within_what_any_step_can_be() -> None:
    buckets = uneven_buckets(10_000, 17, GROUP, 1, last_only=False)
    assert max(bucket.tokens for bucket in buckets) == MOST_TOKENS
    assert [bucket.tokens for bucket in buckets] == sorted((bucket.tokens for bucket in buckets), reverse=True)
    assert {bucket.tokens for bucket in decoding_buckets(3)} == {4, 2, 1}
    assert bucket_for(step([65]), GROUP) is None and bucket_for(step([64]), GROUP) is not None
    assert uneven_buckets(8, 3, GROUP, 1, last_only=False) == uneven_buckets(5, 3, GROUP, 1, last_only=False)


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
