"""Selection: the plain listing of Algorithm 2 beside the arrays, the properties of Algorithm 1, and what the optimum gains."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.executors.simulated.acceptance import AcceptanceModel, AcceptanceSampler
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.speculation.adaserve import AdaServe
from engine.speculation.mechanics.selection import (
    CLOSE,
    LEAST,
    distinct,
    select_equally,
    select_for_slo,
    select_for_throughput,
)
from tests.engine.strategies import make_progress

Floats = NDArray[np.float64]
Node = tuple[int, int, int]

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
    spare = (candidates.probability > LEAST).sum() - trees.selected.sum()
    assert spare == 0 or trees.selected.sum() + n >= budget



@settings(max_examples=150, deadline=None)
@given(BEAMS, st.integers(0, 60), st.integers(1, 10), st.booleans(), st.data())
def test_both_steps_select_what_the_listing_selects(
    candidates: Candidates, room: int, n_max: int, neediest_first: bool, data: st.DataObject
) -> None:
    ranks = distinct(candidates.probability)
    need = data.draw(needs(len(ranks)))
    for_slo = select_for_slo(ranks, need, room, n_max, neediest_first=neediest_first)
    chosen = select_for_throughput(ranks, for_slo, room - int(for_slo.sum()))
    expected, rest = listing(ranks, need, room, n_max, neediest_first)
    assert {*zip(*map(list, np.nonzero(for_slo)), strict=True)} == expected
    assert {*zip(*map(list, np.nonzero(chosen)), strict=True)} == rest
    TokenTrees(candidates, for_slo).check()
    TokenTrees(candidates, for_slo | chosen).check()


def listing(ranks: Floats, need: Floats, room: int, n_max: int, neediest_first: bool) -> tuple[set[Node], set[Node]]:
    """Steps 2 and 3 as the paper lists them, node by node."""
    nodes = sorted(((float(f), where) for where, f in np.ndenumerate(ranks) if f > LEAST), reverse=True)
    for_slo: set[Node] = set()
    for i in sorted(range(len(need)), key=lambda i: -need[i] if neediest_first else need[i]):
        accepted, taken, goal = 0.0, 0, min(need[i], ranks.shape[1] + 1) - (1.0 + CLOSE)
        for f, where in nodes:
            if where[0] == i and accepted < goal and taken < n_max and len(for_slo) < room:
                for_slo.add(where)  # type: ignore[arg-type]
                accepted, taken = accepted + f, taken + 1
    rest = [where for _, where in nodes if where not in for_slo][: room - len(for_slo)]
    return for_slo, set(rest)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(BEAMS, st.integers(0, 40), st.integers(0, 999))
def test_equal_shares_are_equal_and_hang_together(candidates: Candidates, room: int, seed: int) -> None:
    ranks = distinct(candidates.probability)
    before = select_for_slo(ranks, np.random.default_rng(seed).uniform(0, 4, len(ranks)), room, 4)
    left = room - int(before.sum())
    chosen = select_equally(ranks, before, left)
    TokenTrees(candidates, before | chosen).check()
    there = ((ranks > LEAST) & ~before).sum(axis=(1, 2))
    assert chosen.sum(axis=(1, 2)).tolist() == np.minimum(left // len(ranks), there).tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 6))
def test_no_selection_expects_more_tokens_than_algorithm_1(seed: int, requests: int, room: int) -> None:
    """Of all sets of nodes that fit the room and meet every need, none has a larger sum of path probabilities."""
    rng = np.random.default_rng(seed)
    probability = AcceptanceSampler(AcceptanceModel(0.7), seed).draft(requests, DraftShape(2, 2, 99)).probability
    need = rng.uniform(0.5, 2.5, requests)
    oracle = algorithm_1(probability, need, room)
    best = max(
        (
            sum(float(probability[node]) for node in nodes)
            for size in range(room + 1)
            for nodes in combinations(list(np.ndindex(probability.shape)), min(size, probability.size))
            if meets(probability, nodes, need)  # type: ignore[arg-type]
        ),
        default=None,
    )
    assert (oracle is None) == (best is None)
    if oracle is not None and best is not None:
        assert abs(oracle - best) < 1e-9


def meets(probability: Floats, nodes: tuple[Node, ...], need: Floats) -> bool:
    """Whether the nodes and the roots give every request the tokens that it needs."""
    tokens = np.ones(len(need))
    for node in nodes:
        tokens[node[0]] += probability[node]
    return bool((tokens >= need).all())


def algorithm_1(probability: Floats, need: Floats, room: int) -> float | None:
    """The largest sum of path probabilities that meets every need; None where the room is too small for that (INVALID)."""
    left, total, rest = room, 0.0, list[float]()
    for wanted, nodes in zip(need, probability.reshape(len(need), -1), strict=True):
        likeliest, accepted = sorted(nodes.tolist(), reverse=True), 1.0
        while accepted < wanted:
            if left == 0 or not likeliest:
                return None
            total, accepted, left = total + likeliest[0], accepted + likeliest.pop(0), left - 1
        rest += likeliest
    return total + sum(sorted(rest, reverse=True)[:left])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 24), st.integers(1, 8), st.integers(1, 3), st.integers(30, 400))
def test_the_policy_expects_at_least_99_percent_of_the_optimums_tokens(
    seed: int, requests: int, depth: int, width: int, budget: int
) -> None:
    rng = np.random.default_rng(seed)
    candidates = AcceptanceSampler(AcceptanceModel(0.8), seed).draft(requests, DraftShape(depth, width, 999))
    need = rng.uniform(0, 3, requests)
    progress = make_progress(need + 5, np.full(requests, 5), np.ones(requests))
    selected = AdaServe(budget).select(candidates, progress).selected
    optimum = algorithm_1(candidates.probability, need, budget - requests)
    if optimum is not None:
        assert requests + candidates.probability[selected].sum() >= 0.99 * (requests + optimum)
