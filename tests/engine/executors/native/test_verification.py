"""Acceptance: exact for one node by enumeration, and the walks down a tree against plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.executors.native.sampling import Probabilities, pick
from engine.executors.native.trees import NOWHERE, lay_out
from engine.executors.native.verification import Verified, accept_or_resample, verify_by_sampling, verify_greedily
from engine.plan import Candidates, TokenTrees
from tests.engine.executors.native.trees import plain_tree, token_trees

STEPS = 400
GRID = (np.arange(STEPS) + 0.5) / STEPS


@st.composite
def probabilities(draw: st.DrawFn, size: int = 4) -> Probabilities:
    """Multiples of 1 / 20, so that the shares of a grid of luck are exact."""
    cuts = sorted(draw(st.lists(st.integers(0, 20), min_size=size - 1, max_size=size - 1)))
    return np.diff([0, *cuts, 20]) / 20


def outcome(target: Probabilities, proposals: list[tuple[int, Probabilities | None]]) -> Probabilities:
    """The distribution of the token, over a grid of the luck of each proposal and of the last pick."""
    shares = np.zeros(len(target))
    chance, left = 1.0, list(proposals)
    grids: list[float] = []
    while True:
        accepted = [accept_or_resample(target, left[: len(grids) + 1], iter([*grids, luck, 0.5])) for luck in GRID]
        if len(grids) == len(left):
            for luck in GRID:
                place, token = accept_or_resample(target, left, iter([*grids, luck]))
                assert place is None
                shares[token] += chance / STEPS
            return shares
        taken = sum(place == len(grids) for place, _ in accepted)
        shares[left[len(grids)][0]] += chance * taken / STEPS
        if taken == STEPS:
            return shares
        chance *= 1 - taken / STEPS
        grids.append(GRID[-1])


@settings(max_examples=60, deadline=None)
@given(probabilities(), probabilities())
def test_one_drawn_draft_leaves_the_targets_distribution(target: Probabilities, q: Probabilities) -> None:
    total = sum(q[token] * outcome(target, [(token, q)]) for token in range(4) if q[token])
    assert total == pytest.approx(target, abs=3 / STEPS)


@settings(max_examples=60, deadline=None)
@given(probabilities(), st.permutations(range(4)), st.integers(0, 4))
def test_ranked_drafts_leave_the_targets_distribution(target: Probabilities, order: list[int], count: int) -> None:
    assert outcome(target, [(token, None) for token in order[:count]]) == pytest.approx(target, abs=3 / STEPS)


@settings(max_examples=30, deadline=None)
@given(probabilities(), probabilities(), probabilities())
def test_two_drawn_drafts_leave_the_targets_distribution(
    target: Probabilities, first: Probabilities, second: Probabilities
) -> None:
    total = np.zeros(4)
    for a, b in product(range(4), repeat=2):
        if weight := first[a] * second[b]:
            total += weight * outcome(target, [(a, first), (b, second)])
    assert total == pytest.approx(target, abs=5 / STEPS)


def test_a_draft_like_the_target_is_always_accepted() -> None:
    p = np.array([0.1, 0.2, 0.7])
    assert all(accept_or_resample(p, [(1, p)], iter([luck, 0.0])) == (0, 1) for luck in (0.0, 0.5, 1 - 1e-16))


def test_a_draft_that_the_target_never_says_is_never_accepted() -> None:
    assert accept_or_resample(np.array([0.0, 1.0]), [(0, None)], iter([0.0, 0.3])) == (None, 1)


def walk(children: dict[int, list[tuple[int, int]]], best: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Down from node 0 as long as a child has the likeliest token: numbers of the path, tokens with the bonus."""
    at, path, tokens = 0, [], []
    while True:
        tokens.append(int(best[at]))
        follow = [number for number, token in children.get(at, []) if token == best[at]]
        if not follow:
            return path, tokens
        at = follow[0]
        path.append(at)


@given(token_trees(), st.randoms(use_true_random=False))
def test_greedy_verification_is_the_plain_walk(drawn: tuple, random: object) -> None:  # type: ignore[type-arg]
    trees, tokens = drawn
    nodes = lay_out(trees, tokens)
    best = np.array([[random.randrange(4) for _ in range(nodes.longest)] for _ in nodes.counts])  # type: ignore[attr-defined]
    verdict = verify_greedily(nodes, tokens, best)
    for row in range(len(nodes.counts)):
        path, said = walk(plain_tree(trees, tokens, row), best[row])
        assert verdict.accepted[row] == len(path)
        assert verdict.path[row, : len(path)].tolist() == path
        assert verdict.tokens[row, : len(path) + 1].tolist() == said


@given(token_trees(), st.integers(0, 1000))
def test_sampled_verification_is_the_plain_walk(drawn: tuple, seed: int) -> None:  # type: ignore[type-arg]
    trees, tokens = drawn
    nodes, rng = lay_out(trees, tokens), np.random.default_rng(seed)
    n, depth, _ = tokens.shape
    verdict = Verified(np.zeros(n, np.int64), np.zeros((n, depth), np.int64), np.zeros((n, depth + 1), np.int64))
    for row in range(n):
        targets = rng.dirichlet(np.ones(4), int(nodes.counts[row]))
        numbers = rng.random((depth + 1, 5))
        verify_by_sampling(nodes, row, tokens, targets, None, lambda depth, at=numbers: iter(at[depth]), verdict)
        children, at, path, said = plain_tree(trees, tokens, row), 0, [], []
        for layer in range(depth + 1):
            place, token = sampled(targets[at], [token for _, token in children.get(at, [])], iter(numbers[layer]))
            said.append(token)
            if place is None:
                break
            at = children[at][place][0]
            path.append(at)
        assert verdict.accepted[row] == len(path)
        assert verdict.path[row, : len(path)].tolist() == path
        assert verdict.tokens[row, : len(path) + 1].tolist() == said


def sampled(target: Probabilities, proposed: list[int], luck: Iterator[float]) -> tuple[int | None, int]:
    """Ranked children one by one, each with what its elder siblings left of the target."""
    left = target.copy()
    for place, token in enumerate(proposed):
        if next(luck) < left[token] / left.sum():
            return place, token
        left[token] = 0
    return None, pick(left, next(luck))


def test_an_unselected_child_is_not_there() -> None:
    candidates = Candidates(np.array([[[0.6, 0.3]]]), np.zeros((1, 1, 2), np.int64))
    tokens = np.array([[[5, 6]]])
    nodes = lay_out(TokenTrees(candidates, np.array([[[False, True]]])), tokens)
    assert nodes.number.tolist() == [[[NOWHERE, 1]]]
    assert verify_greedily(nodes, tokens, np.array([[5, 7]])).accepted.tolist() == [0]
    assert verify_greedily(nodes, tokens, np.array([[6, 7]])).tokens.tolist() == [[6, 7]]
