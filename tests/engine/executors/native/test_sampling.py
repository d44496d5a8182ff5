"""From logits to tokens: distributions, picks and luck."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.native.sampling import DECIDING, DRAFTING, distributions, lucks, pick
from engine.sampling import Sampling

VALUES = st.integers(-64, 64).map(lambda eighths: eighths / 8)


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    temperature = draw(st.one_of(st.just(0.0), st.floats(0.1, 3)))
    return Sampling(temperature, draw(st.integers(0, 14)), draw(st.one_of(st.just(1.0), st.floats(0.05, 1))))


def by_hand(row: list[float], sampling: Sampling) -> list[float]:
    """Sort, keep the first k, keep the shortest beginning that weighs p, normalise."""
    order = sorted(range(len(row)), key=lambda token: -row[token])
    if sampling.temperature == 0:
        return [float(token == order[0]) for token in range(len(row))]
    weight = [exp((value - max(row)) / sampling.temperature) for value in row]
    kept = order[: sampling.top_k] if sampling.top_k else order
    whole, share, nucleus = sum(weight[token] for token in kept), 0.0, []
    for token in kept:
        if share < sampling.top_p:
            nucleus.append(token)
        share += weight[token] / whole
    left = sum(weight[token] for token in nucleus)
    return [weight[token] / left if token in nucleus else 0.0 for token in range(len(row))]


@settings(deadline=None)
@given(rows=st.integers(2, 12).flatmap(lambda n: st.lists(
    st.tuples(st.lists(VALUES, min_size=n, max_size=n, unique=True), samplings()), min_size=1, max_size=5
)))
def test_every_row_is_treated_as_by_hand(rows: list[tuple[list[float], Sampling]]) -> None:
    logits = torch.tensor([row for row, _ in rows])
    got = distributions(logits, [sampling for _, sampling in rows])
    assert got.sum(axis=1) == pytest.approx(1)
    for distribution, (row, sampling) in zip(got, rows, strict=True):
        wanted = np.array(by_hand(row, sampling))
        if edge(row, sampling):
            continue
        assert distribution == pytest.approx(wanted, abs=1e-9)


def edge(row: list[float], sampling: Sampling) -> bool:
    """Whether a sum falls on top_p within rounding, so that either cut is right."""
    if sampling.temperature == 0 or sampling.top_p == 1:
        return False
    whole = sorted(by_hand(row, Sampling(sampling.temperature, sampling.top_k)), reverse=True)
    return bool((np.abs(np.cumsum(whole) - sampling.top_p) < 1e-9).any())


def test_masked_tokens_are_never_likely() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 1.0, -torch.inf]])
    got = distributions(logits, [Sampling(1.0, top_k=3, top_p=0.99)])[0]
    assert got[1] == got[3] == 0 and got[2] > got[0] > 0


@given(st.lists(VALUES, min_size=2, max_size=12), st.floats(0, 1, exclude_max=True))
def test_a_pick_is_the_inverse_of_the_running_sum(row: list[float], luck: float) -> None:
    weights = np.abs(np.array(row))
    weights[0] = 0.0
    if weights.sum() < 1e-3:
        return
    token = pick(weights, luck)
    assert weights[token] > 0
    below, above = weights[:token].sum(), weights[: token + 1].sum()
    assert below - 1e-9 <= luck * weights.sum() <= above + 1e-9


def test_picks_over_a_grid_of_luck_have_the_right_shares() -> None:
    weights = np.array([0.0, 2.0, 0.0, 1.0, 5.0, 0.0])
    grid = (np.arange(8000) + 0.5) / 8000
    counts = np.bincount([pick(weights, luck) for luck in grid], minlength=6)
    assert counts.tolist() == [0, 2000, 0, 1000, 5000, 0]


def test_luck_depends_on_seed_purpose_and_place_alone() -> None:
    assert lucks(3, DECIDING, 5, 2) == lucks(3, DECIDING, 5, 4)[:2]
    others = [lucks(4, DECIDING, 5, 2), lucks(3, DRAFTING, 5, 2), lucks(3, DECIDING, 6, 2)]
    assert all(lucks(3, DECIDING, 5, 2) != other for other in others)


def test_luck_is_even_and_its_places_are_unrelated() -> None:
    numbers = np.array([[lucks(seed, DECIDING, place, 1)[0] for place in range(4)] for seed in range(3000)])
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(numbers.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.08


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0},
                                   {"top_p": 1.1}, {"seed": -1}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a way to sample"):
        Sampling(**wrong)  # type: ignore[arg-type]
