"""A calibrated draft: what is accepted agrees with the probabilities that were drafted.

Frequencies over N samples are compared within four standard errors of a Bernoulli mean, 4 * sqrt(p (1 - p) / N); the
seeds are fixed, so that no run is unlucky.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.simulated.acceptance import AcceptanceModel, AcceptanceSampler, quantiles
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.request import Request
from engine.speculation.mechanics.selection import distinct, select_for_throughput
from tests.engine.contract import assert_valid_beam

SAMPLES = 40_000
MEANS = [0.0, 0.3, 0.7, 0.95, 1.0]


def whole(candidates: Candidates) -> TokenTrees:
    return TokenTrees(candidates, np.ones(candidates.probability.shape, bool))


def assert_close(frequency: np.ndarray, probability: np.ndarray) -> None:
    tolerance = 4 * np.sqrt(probability * (1 - probability) / SAMPLES) + 1e-12
    assert (np.abs(frequency - probability) <= tolerance).all()


@settings(max_examples=150, deadline=None)
@given(
    mean=st.one_of(st.sampled_from((0.0, 1.0)), st.floats(1e-6, 1)),
    concentration=st.floats(0.05, 100),
    later_share=st.floats(0, 1),
    requests=st.integers(1, 9),
    depth=st.integers(1, 8),
    width=st.integers(1, 4),
)
def test_drafts_are_valid_beams(
    mean: float, concentration: float, later_share: float, requests: int, depth: int, width: int
) -> None:
    sampler = AcceptanceSampler(AcceptanceModel(mean, concentration, later_share), seed=1)
    candidates = sampler.draft(requests, DraftShape(depth, width, 10**6))
    assert candidates.probability.shape == candidates.parent.shape == (requests, depth, width)
    assert_valid_beam(candidates)
    if mean in (0.0, 1.0):
        assert (candidates.probability[:, :, 0] == mean).all()


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("concentration", [0.2, 1.5, 20.0])
def test_the_first_child_has_the_mean_probability(mean: float, concentration: float) -> None:
    values = quantiles(mean, concentration)
    assert (np.diff(values) >= 0).all() and values.mean() == pytest.approx(mean, abs=1e-3)
    spread = np.sqrt(mean * (1 - mean) / (concentration + 1))
    assert values.std() == pytest.approx(spread, abs=2e-3)


@pytest.mark.parametrize("mean", MEANS)
def test_a_chain_is_accepted_as_often_as_its_path_is_likely(mean: float) -> None:
    sampler = AcceptanceSampler(AcceptanceModel(mean), seed=2)
    candidates = sampler.draft(SAMPLES, DraftShape(5, 1, 10**9))
    accepted = sampler.accept(whole(candidates))
    frequency = np.array([(accepted >= k).mean() for k in range(1, 6)])
    assert_close(frequency, candidates.probability[:, :, 0].mean(axis=0))


@pytest.mark.parametrize("mean", [0.3, 0.7])
def test_a_chain_and_the_walk_of_a_tree_agree(mean: float) -> None:
    """The same chains, once as chains and once as trees whose second places are empty: equal draw by draw."""
    chains = AcceptanceSampler(AcceptanceModel(mean), seed=3).draft(SAMPLES, DraftShape(4, 1, 10**9))
    empty = np.zeros_like(chains.probability)
    padded = Candidates(np.concatenate([chains.probability, empty], axis=2), np.repeat(chains.parent, 2, axis=2))
    along_chain, along_tree = (
        AcceptanceSampler(AcceptanceModel(mean), seed=4).accept(whole(trees)) for trees in (chains, padded)
    )
    assert np.array_equal(along_chain, along_tree)
    assert 0 < along_chain.mean() < 4


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("room", [0.3, 1.0])
def test_a_tree_is_accepted_as_deep_as_its_probabilities_add_up(mean: float, room: float) -> None:
    """Expected accepted tokens are the sum of the selected path probabilities, layer by layer."""
    sampler = AcceptanceSampler(AcceptanceModel(mean), seed=5)
    candidates = sampler.draft(SAMPLES, DraftShape(4, 3, 10**9))
    probability = candidates.probability
    selected = select_for_throughput(distinct(probability), np.zeros(probability.shape, bool), int(room * probability.size))
    accepted = sampler.accept(TokenTrees(candidates, selected))
    frequency = np.array([(accepted >= k).mean() for k in range(1, 5)])
    assert_close(frequency, np.minimum((probability * selected).sum(axis=2).mean(axis=0), 1.0))


def test_a_tree_accepts_more_than_its_chain() -> None:
    sampler = AcceptanceSampler(AcceptanceModel(0.6), seed=6)
    tree, chain = (sampler.draft(SAMPLES, DraftShape(4, width, 10**9)) for width in (3, 1))
    assert sampler.accept(whole(tree)).mean() > sampler.accept(whole(chain)).mean() + 0.1


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MEANS), st.integers(1, 6), st.integers(1, 4), st.integers(0, 60), st.integers(0, 999))
def test_acceptance_never_goes_deeper_than_the_selection(
    mean: float, depth: int, width: int, room: int, seed: int
) -> None:
    sampler = AcceptanceSampler(AcceptanceModel(mean), seed)
    candidates = sampler.draft(6, DraftShape(depth, width, 10**6))
    selected = select_for_throughput(distinct(candidates.probability), np.zeros((6, depth, width), bool), room)
    accepted = sampler.accept(TokenTrees(candidates, selected))
    assert ((accepted >= 0) & (accepted <= selected.any(axis=2).sum(axis=1))).all()
    if mean == 1.0:
        assert (accepted == selected[:, :, 0].sum(axis=1)).all()


def test_seeds_tell_samplers_apart() -> None:
    one, same, other = (
        AcceptanceSampler(AcceptanceModel(0.7), seed).draft(3, DraftShape(4, 2, 99)).probability for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


BY_KIND = {"coding": 0.9, "chat": 0.6}


def accepted_by(model: AcceptanceModel, kinds: list[str | None], width: int = 1) -> np.ndarray:
    requests = [Request(id, "a", 9, 9, 0.0, category=kind) for id, kind in enumerate(kinds)]
    sampler = AcceptanceSampler(model, seed=7)
    drafts = (sampler.draft_for(requests, DraftShape(1, width, 10**6)) for _ in range(400))
    return np.mean([sampler.accept(whole(draft)) for draft in drafts], axis=0)


@pytest.mark.parametrize("width", [1, 2])
def test_acceptance_is_a_property_of_the_requests_kind(width: int) -> None:
    kinds: list[str | None] = ["coding", "chat", "unheard of", None] * 40
    found = accepted_by(AcceptanceModel(0.3, later_share=0.0, by_kind=BY_KIND), kinds, width).reshape(40, 4).mean(axis=0)
    assert found == pytest.approx([0.9, 0.6, 0.3, 0.3], abs=0.02)


def test_requests_of_a_kind_differ_by_the_spread() -> None:
    model = AcceptanceModel(0.3, by_kind=BY_KIND, spread=0.8)
    means = model.means()
    assert np.median(means, axis=1) == pytest.approx([0.3, 0.9, 0.6], abs=0.01)
    assert np.std(np.log(means / (1 - means)), axis=1) == pytest.approx(0.8, abs=0.05)
    found = accepted_by(model, ["coding"] * 300)
    assert found.std() == pytest.approx(means[1].std(), rel=0.25) and found.mean() == pytest.approx(means[1].mean(), abs=0.02)
    again = accepted_by(model, ["coding"] * 300)
    assert np.array_equal(found, again)


@pytest.mark.parametrize("wrong", [(-0.1,), (1.1,), (float("nan"),), (0.5, 0.0), (0.5, 1.0, 1.5), (0.5, 1.0, -0.1)])
def test_what_is_no_model_is_an_error(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="not an acceptance model"):
        AcceptanceModel(*wrong)
