"""Seconds of a step, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.batch import Batch
from engine.executors.simulated.cost import DraftCost, Line, StepCost, TiledPrefill
from engine.plan import DECODE, Candidates, Chunk, DraftShape, StepPlan, TokenTrees
from tests.engine.strategies import make_request

LINE = Line((0, 100, 200), (1.0, 2.0, 5.0))
COST = StepCost(LINE, context_s=0.001, draft=DraftCost(step_s=0.5, token_s=0.05), host_s=0.25, scale=2.0)


def batch_of(rows: int, prompt: int = 10) -> Batch:
    batch = Batch()
    for i in range(rows):
        batch.add(make_request(i, prompt=prompt, output=9, produced=1, first_token_s=0.0))
    return batch


def chunk(done: int, tokens: int) -> Chunk:
    return Chunk(make_request(prompt=500), done, tokens)


def tree(rows: int, depth: int, width: int, nodes: int) -> StepPlan:
    shape = (rows, depth, width)
    selected = np.zeros(shape, bool)
    selected.reshape(-1)[:nodes] = True
    candidates = Candidates(np.full(shape, 0.5), np.zeros(shape, np.int64))
    return StepPlan(decode=True, draft=DraftShape(depth, width, 99), trees=TokenTrees(candidates, selected))


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1), (50, 1.5), (100, 2), (150, 3.5), (200, 5), (300, 8)])
def test_a_line_is_straight_between_and_beyond_its_knots(tokens: float, seconds: float) -> None:
    assert LINE(tokens) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("tokens", "seconds"), [((1,), (1.0,)), ((1, 2), (1.0,)), ((2, 1), (1.0, 2.0)), ((1, 1), (1.0, 2.0))]
)
def test_what_is_no_line_is_an_error(tokens: tuple[float, ...], seconds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="tokens"):
        Line(tokens, seconds)


@pytest.mark.parametrize(("tokens", "tiles"), [(1, 1), (128, 1), (129, 2), (256, 2), (257, 3)])
def test_a_started_tile_is_a_whole_tile(tokens: int, tiles: int) -> None:
    assert TiledPrefill(fixed_s=4.0, tile_s=3.0)(tokens) == 4.0 + 3.0 * tiles


def test_a_decode_costs_its_rows_and_its_context() -> None:
    assert COST.seconds(DECODE, batch_of(50)) == pytest.approx(2 * (1.5 + 0.001 * 500) + 0.25)


@pytest.mark.parametrize("rows", [1, 64, 1024, 1025])
def test_the_table_of_decodes_is_the_formula(rows: int) -> None:
    batch = batch_of(rows)
    assert COST.seconds(DECODE, batch) == pytest.approx(COST.seconds(StepPlan(decode=True), batch))


def test_a_prefill_costs_its_tokens_the_context_of_earlier_chunks_and_the_drafts_prefill() -> None:
    plan = StepPlan(prefill=[chunk(0, 20), chunk(100, 30)])
    assert COST.seconds(plan, batch_of(3)) == pytest.approx(2 * (1.5 + 0.1 + 0.05 * 50) + 0.25)
    tiled = replace(COST, prefill=TiledPrefill(4.0, 3.0), draft=None)
    assert tiled.seconds(plan, batch_of(3)) == pytest.approx(2 * (7.0 + 0.1) + 0.25)


def test_a_mixed_step_is_one_forward_over_everything() -> None:
    plan = StepPlan(prefill=[chunk(100, 95)], decode=True)
    cost = replace(COST, prefill=TiledPrefill(4.0, 3.0))
    assert cost.seconds(plan, batch_of(5)) == pytest.approx(2 * (2.0 + 0.001 * 150 + 0.05 * 95) + 0.25)


def test_a_tree_costs_its_nodes_and_its_draft_steps() -> None:
    seconds = COST.seconds(tree(5, depth=4, width=3, nodes=45), batch_of(5))
    assert seconds == pytest.approx(2 * (1.5 + 0.001 * 50 + 4 * 0.5) + 0.25)


def test_an_expanded_batch_reads_its_context_once_for_each_token_of_the_chain() -> None:
    plan, batch = tree(5, depth=4, width=1, nodes=20), batch_of(5)
    more = replace(COST, expands_batch=True).seconds(plan, batch) - COST.seconds(plan, batch)
    assert more == pytest.approx(2 * 4 * 0.001 * 50)


def test_a_draft_prefill_rides_on_a_draft_step_or_is_one() -> None:
    draft = DraftCost(step_s=0.5, token_s=0.05)
    assert [draft.seconds(0, 0, 9, tokens) for tokens in (0, 1, 10, 20)] == [0.0, 0.5, 0.5, 1.0]
    assert draft.seconds(3, 7, 9, 0) == 1.5 and draft.seconds(3, 7, 9, 20) == 2.5


def test_each_token_of_a_draft_step_may_cost() -> None:
    draft = DraftCost(step_s=0.5, token_s=0.05, step_token_s=0.01, context_s=0.001)
    assert draft.seconds(3, 7, 90, 20) == pytest.approx(3 * (0.57 + 0.09) + 1.0)


def test_draft_tokens_look_at_the_context_too() -> None:
    plan, batch = tree(5, depth=4, width=3, nodes=45), batch_of(5)
    more = replace(COST, query_s=0.01).seconds(plan, batch) - COST.seconds(plan, batch)
    assert more == pytest.approx(2 * 0.01 * 50 * 9)
