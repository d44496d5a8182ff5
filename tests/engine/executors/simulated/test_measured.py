"""Beams that were measured: what is drawn, what is accepted, what is on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.errors import InputError
from engine.executors.simulated.measured import (
    MISSED,
    Beams,
    MeasuredAcceptance,
    MeasuredSampler,
    load_measured,
    save_measured,
)
from engine.plan import DraftShape, TokenTrees
from tests.engine.contract import assert_valid_beam
from tests.engine.strategies import make_request

DEPTH = 4
SHAPE = DraftShape(3, 2, 99)


def beams(width: int, seed: int = 0, count: int = 40) -> Beams:
    """Texts of kind 0 are always hit in the first place, those of kind 1 never."""
    rng = np.random.default_rng(seed)
    probability = np.sort(rng.random((count, DEPTH, width)), axis=2)[:, :, ::-1] / width
    probability = np.multiply.accumulate(probability, axis=1)
    kind = np.arange(count) % 2
    hit = np.where(kind[:, None] == 0, 0, np.full((count, DEPTH), MISSED))
    return Beams(probability, np.zeros((count, DEPTH, width), np.int64), hit, kind)


@pytest.fixture
def acceptance() -> MeasuredAcceptance:
    return MeasuredAcceptance(("coding", "chat"), {width: beams(width) for width in (1, 2)})


def requests(*kinds: str | None):
    return [make_request(number, category=kind) for number, kind in enumerate(kinds)]


def everything(sampler: MeasuredSampler, *kinds: str | None) -> TokenTrees:
    candidates = sampler.draft_for(requests(*kinds), SHAPE)
    return TokenTrees(candidates, np.ones(candidates.probability.shape, bool))


def test_a_kind_gets_its_own_beams_and_an_unknown_one_any(acceptance):
    sampler = acceptance.sampler(0)
    trees = everything(sampler, *["coding"] * 50, *["chat"] * 50, *[None] * 200)
    accepted = sampler.accept(trees)
    assert_array_equal(accepted[:50], 3)
    assert_array_equal(accepted[50:100], 0)
    assert 60 < (accepted[100:] == 3).sum() < 140


def test_what_is_not_selected_is_not_accepted(acceptance):
    sampler = acceptance.sampler(0)
    trees = everything(sampler, *["coding"] * 4)
    trees.selected[:, 1:] = False
    assert_array_equal(sampler.accept(trees), 1)
    trees.selected[:, 0, 0] = False
    assert_array_equal(sampler.accept(trees), 0)


def test_a_prefix_of_a_beam_is_a_valid_beam(acceptance):
    candidates = acceptance.sampler(1).draft_for(requests(*["chat"] * 9), SHAPE)
    assert candidates.probability.shape == (9, 3, 2)
    assert_valid_beam(candidates)


def test_the_same_seed_draws_the_same(acceptance):
    first, again, other = (everything(acceptance.sampler(seed), *[None] * 20) for seed in (3, 3, 4))
    assert_array_equal(first.candidates.probability, again.candidates.probability)
    assert (first.candidates.probability != other.candidates.probability).any()


@pytest.mark.parametrize("shape", [DraftShape(3, 5, 99), DraftShape(DEPTH + 1, 2, 99)])
def test_a_shape_that_was_not_measured_is_refused(acceptance, shape):
    with pytest.raises(InputError, match="no beams of depth"):
        acceptance.sampler(0).draft_for(requests("chat"), shape)


def test_what_is_saved_comes_back(acceptance, tmp_path: Path):
    path = tmp_path / "pair.npz"
    save_measured(path, acceptance)
    back = load_measured(path)
    assert back.kinds == acceptance.kinds and set(back.beams) == {1, 2}
    for width, written in acceptance.beams.items():
        read = back.beams[width]
        assert_array_equal(read.hit, written.hit)
        assert_array_equal(read.kind, written.kind)
        assert_array_equal(read.parent, written.parent)
        np.testing.assert_allclose(read.probability, written.probability, rtol=1e-3, atol=1e-6)
        assert (np.diff(read.probability, axis=2) <= 0).all()


def test_the_same_beams_are_the_same_bytes(acceptance, tmp_path: Path):
    for name in ("a", "b"):
        save_measured(tmp_path / f"{name}.npz", acceptance)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_a_file_that_is_none_is_refused(content, acceptance, tmp_path: Path):
    path = tmp_path / "pair.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="holds no measured acceptance"):
        load_measured(path)


def test_a_kind_without_beams_gets_any(acceptance):
    one_kind = {2: replace(beams(2), kind=np.zeros(40, np.int64))}
    sampler = MeasuredAcceptance(("coding", "chat"), one_kind).sampler(0)
    assert len(everything(sampler, "chat", "chat").candidates.probability) == 2
