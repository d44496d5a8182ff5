"""Selection, layout, acceptance and compaction in Triton are those of the host."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels.triton.trees import TritonTrees
from tests.engine.kernels.candidates import Drawn, drawn
from tests.engine.kernels.tree_cases import Case, assert_accepts, assert_compacts, assert_lays_out, assert_selects
from tests.engine.kernels.triton.forwards import DEVICE

OPS, SEEDS = TritonTrees(), st.integers(0, 99)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(drawn())
def test_selection(case: Drawn) -> None:
    assert_selects(OPS, case, DEVICE)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(drawn(), SEEDS)
def test_a_step_from_selection_to_the_cache(case: Drawn, seed: int) -> None:
    made = Case(case, seed, DEVICE)
    assert_lays_out(OPS, made, tile=3)
    assert_accepts(OPS, made)
    assert_compacts(OPS, made)
