"""AdaServe: the paper's worked example, its shape table, and the properties of its selection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.adaserve import AdaServe
from engine.speculation.mechanics.selection import distinct, select_for_slo, select_for_throughput
from tests.engine.strategies import make_progress

PROBABILITY = np.array(
    [[[0.7, 0.2], [0.42, 0.21], [0.294, 0.126]], [[0.5, 0.4], [0.35, 0.24], [0.14, 0.14]]],
)
PARENT = np.array([[[0, 0], [0, 0], [0, 0]], [[0, 0], [0, 1], [0, 0]]])
RANKS = distinct(PROBABILITY)
BUDGET = 8


@pytest.mark.parametrize(("root", "need"), [(0.0, [0.6, 0.8]), (1.0, [1.6, 1.8])])
def test_the_worked_example_of_figure_5(root: float, need: list[float]) -> None:
    room = BUDGET - 2
    slo = select_for_slo(RANKS, np.array(need), room, n_max=6, root=root)
    assert nodes(slo) == [[0.7], [0.5, 0.4]]
    more = select_for_throughput(RANKS, slo, room - int(slo.sum()))
    assert nodes(more) == [[0.42, 0.294], [0.35]]
    TokenTrees(Candidates(PROBABILITY, PARENT), slo | more).check()


def nodes(selected: np.ndarray) -> list[list[float]]:
    return [PROBABILITY[i][selected[i]].tolist() for i in range(len(PROBABILITY))]


def test_the_worked_example_through_the_policy() -> None:
    """Needs 1.6 and 1.8 as (latency + t_spec) / SLO - tokens, with t_spec = 1 s for 8 tokens."""
    policy = AdaServe(budget=BUDGET, draft_s=0.2, verify_tokens=(0, 10), verify_s=(0.0, 1.0))
    assert policy.step_s(BUDGET) == pytest.approx(1.0)
    progress = make_progress([3.6, 4.8], [3, 4], [1.0, 1.0])
    trees = policy.select(Candidates(PROBABILITY, PARENT), progress)
    trees.check()
    assert nodes(trees.selected) == [[0.7, 0.42, 0.294], [0.5, 0.4, 0.35]]


@pytest.mark.parametrize(
    ("room", "chosen"), [(0, [[], []]), (1, [[], [0.5]]), (2, [[], [0.5, 0.4]]), (3, [[0.7], [0.5, 0.4]])]
)
def test_the_neediest_is_served_first_when_the_budget_is_short(room: int, chosen: list[list[float]]) -> None:
    assert nodes(select_for_slo(RANKS, np.array([1.6, 1.8]), room, n_max=6)) == chosen


def test_n_max_stops_a_needy_request_and_a_satisfied_one_takes_nothing() -> None:
    selected = select_for_slo(RANKS, np.array([9.0, 1.0]), 6, n_max=2)
    assert nodes(selected) == [[0.7, 0.42], []]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"slo_selection": False}, [[0.7, 0.42, 0.294], [0.5, 0.4, 0.35]]),
        ({"rest": "none"}, [[0.7], [0.5, 0.4]]),
        ({"rest": "equal"}, [[0.7, 0.42], [0.5, 0.4, 0.35]]),
        ({"slo_selection": False, "rest": "equal"}, [[0.7, 0.42, 0.294], [0.5, 0.4, 0.35]]),
        ({"slo_selection": False, "rest": "none"}, [[], []]),
    ],
    ids=str,
)
def test_each_step_can_be_left_out_or_replaced(parts: dict[str, Any], expected: list[list[float]]) -> None:
    trees = AdaServe(BUDGET, verify_s=(1.8, 1.8), **parts).select(
        Candidates(PROBABILITY, PARENT), make_progress([0, 0], [0, 0], [1.125, 1.0])
    )
    assert nodes(trees.selected) == expected
    assert trees.need is not None and trees.need.tolist() == pytest.approx([1.6, 1.8])


def test_the_least_needy_may_go_first() -> None:
    chosen = select_for_slo(RANKS, np.array([1.6, 1.8]), 1, n_max=6, neediest_first=False)
    assert nodes(chosen) == [[0.7], []]


@pytest.mark.parametrize(("budget", "depth"), [(1, None), (2, None), (3, 1), (5, 3), (9, 5)])
def test_no_layer_is_drafted_that_the_budget_cannot_verify(budget: int, depth: int | None) -> None:
    shape = AdaServe(budget).shape(Progress.fresh(2))
    assert shape is None if depth is None else shape is not None and shape.depth == depth


LLAMA = {"depth_budget": 512, "width_budget": 96, "depth": (4, 8), "width": (1, 3)}
QWEN = {"depth_budget": 256, "width_budget": 80, "depth": (3, 5), "width": (1, 3)}


@pytest.mark.parametrize(
    ("model", "requests", "depth", "width"),
    [
        (LLAMA, 1, 8, 3), (LLAMA, 32, 8, 3), (LLAMA, 33, 8, 2), (LLAMA, 48, 8, 2), (LLAMA, 64, 7, 1), (LLAMA, 96, 4, 1),
        (LLAMA, 200, 4, 1), (QWEN, 1, 5, 3), (QWEN, 26, 5, 3), (QWEN, 27, 5, 2), (QWEN, 40, 5, 2), (QWEN, 52, 3, 1),
        (QWEN, 80, 3, 1),
    ],
)
def test_depth_and_width_follow_the_load(model: dict[str, object], requests: int, depth: int, width: int) -> None:
    shape = AdaServe(budget=512, **model).shape(Progress.fresh(requests))  # type: ignore[arg-type]
    assert shape is not None and (shape.depth, shape.width) == (depth, width)
    assert shape.max_tokens == min(512, requests * (1 + depth * width))


def test_c1_shortens_and_c2_widens() -> None:
    assert AdaServe(c1=40.0, c2=1).shape(Progress.fresh(40)) == DraftShape(3, 3, 256)
    assert AdaServe().shape(Progress.fresh(40)) == DraftShape(5, 2, 256)


def test_requests_without_an_slo_get_nodes_from_the_throughput_step_only() -> None:
    progress = make_progress([9.0, 9.0], [1, 1], [np.inf, 0.1])
    policy = AdaServe(BUDGET, verify_s=(0.1, 0.1), rest="none", n_max_share=9.0)
    trees = policy.select(Candidates(PROBABILITY, PARENT), progress)
    assert trees.selected[0].sum() == 0 and trees.selected[1].sum() == 6
