"""AdaServe: the paper's worked example, its shape table, and the properties of its selection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.simulated.acceptance import AcceptanceModel, AcceptanceSampler
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.adaserve import AdaServe, select_for_slo, select_for_throughput
from tests.engine.strategies import make_progress

PROBABILITY = np.array(
    [[[0.7, 0.2], [0.42, 0.21], [0.294, 0.126]], [[0.5, 0.4], [0.35, 0.24], [0.14, 0.14]]],
)
PARENT = np.array([[[0, 0], [0, 0], [0, 0]], [[0, 0], [0, 1], [0, 0]]])
BUDGET = 8


@pytest.mark.parametrize(("root", "need"), [(0.0, [0.6, 0.8]), (1.0, [1.6, 1.8])])
def test_the_worked_example_of_figure_5(root: float, need: list[float]) -> None:
    room = BUDGET - 2
    slo = select_for_slo(PROBABILITY, np.array(need), room, n_max=6, root=root)
    assert nodes(slo) == [[0.7], [0.5, 0.4]]
    more = select_for_throughput(PROBABILITY, slo, room - int(slo.sum()))
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
    assert nodes(select_for_slo(PROBABILITY, np.array([1.6, 1.8]), room, n_max=6)) == chosen


def test_n_max_stops_a_needy_request_and_a_satisfied_one_takes_nothing() -> None:
    selected = select_for_slo(PROBABILITY, np.array([9.0, 1.0]), 6, n_max=2)
    assert nodes(selected) == [[0.7, 0.42], []]


@pytest.mark.parametrize("name", ["slo_selection", "throughput_selection"])
def test_each_step_can_be_left_out(name: str) -> None:
    trees = AdaServe(BUDGET, verify_s=(1.8, 1.8), **{name: False}).select(  # type: ignore[arg-type]
        Candidates(PROBABILITY, PARENT), make_progress([0, 0], [0, 0], [1.125, 1.0])
    )
    expected = [[0.7, 0.42, 0.294], [0.5, 0.4, 0.35]] if name == "slo_selection" else [[0.7], [0.5, 0.4]]
    assert nodes(trees.selected) == expected


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
    assert (shape.depth, shape.width) == (depth, width)
    assert shape.max_tokens == min(512, requests * (1 + depth * width))


def test_c1_shortens_and_c2_widens() -> None:
    assert AdaServe(c1=40.0, c2=1).shape(Progress.fresh(40)) == DraftShape(3, 3, 256)
    assert AdaServe().shape(Progress.fresh(40)) == DraftShape(5, 2, 256)


BEAMS = st.builds(
    lambda requests, depth, width, mean, concentration, seed: AcceptanceSampler(
        AcceptanceModel(mean, concentration), seed
    ).draft(requests, DraftShape(depth, width, 10**6)),
    requests=st.integers(1, 8),
    depth=st.integers(1, 6),
    width=st.integers(1, 4),
    mean=st.sampled_from((0.0, 0.05, 0.5, 0.8, 0.99, 1.0)),
    concentration=st.sampled_from((0.1, 1.5, 50.0)),
    seed=st.integers(0, 10**6),
)


@st.composite
def needs(draw: st.DrawFn, requests: int) -> np.ndarray:
    return np.array(draw(st.lists(st.floats(-5, 9), min_size=requests, max_size=requests)))


@settings(max_examples=150, deadline=None)
@given(BEAMS, st.integers(1, 60), st.data())
def test_trees_hang_together_within_the_budget(candidates: Candidates, budget: int, data: st.DataObject) -> None:
    n = len(candidates.probability)
    wanted = data.draw(needs(n))
    progress = make_progress(wanted + 5, np.full(n, 5), np.ones(n))
    trees = AdaServe(budget, n_max_share=data.draw(st.floats(0, 3))).select(candidates, progress)
    trees.check()
    assert trees.selected.sum() + n <= max(budget, n)
    assert not trees.selected[candidates.probability == 0].any()
    spare = (candidates.probability > 0).sum() - trees.selected.sum()
    assert spare == 0 or trees.selected.sum() + n >= budget


@settings(max_examples=150, deadline=None)
@given(BEAMS, st.integers(0, 60), st.integers(1, 10), st.data())
def test_the_slo_step_takes_the_fewest_and_no_more_than_n_max(
    candidates: Candidates, room: int, n_max: int, data: st.DataObject
) -> None:
    probability = candidates.probability
    need = data.draw(needs(len(probability)))
    selected = select_for_slo(probability, need, room, n_max)
    TokenTrees(candidates, selected).check()
    taken = selected.sum(axis=(1, 2))
    assert taken.sum() <= room and taken.max() <= n_max
    fewest = [min(fewest_nodes(p.ravel(), wanted), n_max) for p, wanted in zip(probability, need, strict=True)]
    assert (taken <= fewest).all()
    if sum(fewest) <= room:
        assert taken.tolist() == fewest
    else:
        assert taken.sum() == room
    for served in np.flatnonzero(taken):
        assert (taken[need > need[served]] == np.array(fewest)[need > need[served]]).all()


def fewest_nodes(probability: np.ndarray, need: float) -> int:
    """The fewest nodes whose probabilities and the root's reach ``need``; all of them when that is not enough."""
    likeliest = np.sort(probability[probability > 0])[::-1]
    for count, total in enumerate([0.0, *np.cumsum(likeliest)]):
        if 1.0 + total >= need:
            return count
    return len(likeliest)


@settings(max_examples=150, deadline=None)
@given(BEAMS, st.integers(0, 60), st.data())
def test_the_throughput_step_takes_the_likeliest_of_all(candidates: Candidates, room: int, data: st.DataObject) -> None:
    probability = candidates.probability
    before = select_for_slo(probability, data.draw(needs(len(probability))), 12, 4)
    chosen = select_for_throughput(probability, before, room)
    assert not (chosen & before).any()
    TokenTrees(candidates, before | chosen).check()
    free = np.sort(probability[~before & (probability > 0)])[::-1]
    assert np.sort(probability[chosen])[::-1].tolist() == free[:room].tolist()


def test_requests_without_an_slo_get_nodes_from_the_throughput_step_only() -> None:
    progress = make_progress([9.0, 9.0], [1, 1], [np.inf, 0.1])
    policy = AdaServe(BUDGET, verify_s=(0.1, 0.1), throughput_selection=False, n_max_share=9.0)
    trees = policy.select(Candidates(PROBABILITY, PARENT), progress)
    assert trees.selected[0].sum() == 0 and trees.selected[1].sum() == 6
