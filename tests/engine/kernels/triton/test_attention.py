"""Triton's attention is the reference's, whatever the forward."""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.kernels.attention import kernels_named
from tests.engine.kernels.triton.forwards import Forward, Sequence, batches, make

REFERENCE, TRITON = kernels_named("reference"), kernels_named("triton")


def assert_same(forward: Forward) -> None:
    ours, theirs = forward.copy_of_cache(), forward.copy_of_cache()
    got = TRITON.attention(ours, forward.metadata)(1, forward.stacked.clone(), forward.rotary)
    want = REFERENCE.attention(theirs, forward.metadata)(1, forward.stacked.clone(), forward.rotary)
    torch.testing.assert_close(got, want, atol=2e-5, rtol=2e-4)
    torch.testing.assert_close(ours.data, theirs.data, atol=1e-6, rtol=1e-5)


@given(batches, st.sampled_from([(4, 2, 16), (2, 2, 32), (6, 1, 16), (14, 2, 64)]), st.integers(0, 9999))
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
def test_it_is_the_references(sequences: list[Sequence], heads: tuple[int, int, int], seed: int) -> None:
    assert_same(make(sequences, *heads, seed, torch.float32))


@pytest.mark.parametrize("sequences", [
    [Sequence(0, 1)], [Sequence(63, 1)], [Sequence(64, 1)], [Sequence(1000, 1)], [Sequence(0, 130)], [Sequence(500, 70)],
    [Sequence(1, 65, 65)], [Sequence(640, 16, 16)] * 2,
])
def test_edges_of_blocks_and_tiles(sequences: list[Sequence]) -> None:
    assert_same(make(sequences, 4, 2, 16, 1, torch.float32))


def test_a_tile_of_nobody_and_a_token_without_a_slot_leave_everything_as_it_is() -> None:
    forward = make([Sequence(20, 1), Sequence(30, 1)], 4, 2, 16, 1, torch.float32)
    before = forward.kv.data.clone()
    forward.metadata.tiles[0, 1] = -1
    forward.metadata.slot_mapping[1] = -1
    TRITON.attention(forward.kv, forward.metadata)(0, forward.stacked, forward.rotary)
    changed = (forward.kv.data != before).flatten(2).any(-1).nonzero()
    assert changed.tolist() == [[0, int(forward.metadata.slot_mapping[0])]]
