"""A chain speculates equally far for everybody."""

from __future__ import annotations

import pytest

from engine.batching.vllm import VLLM
from engine.executors.simulated.acceptance import AcceptanceModel, AcceptanceSampler
from engine.plan import DraftShape
from engine.progress import Progress
from engine.request import Request
from engine.speculation.chain import Chain
from tests.engine.strategies import assert_served, make_request, serve


@pytest.mark.parametrize("tokens", [1, 4, 8])
def test_shape_and_selection_are_whole_chains(tokens: int) -> None:
    chain = Chain(tokens)
    assert chain.shape(Progress.fresh(3)) == DraftShape(tokens, 1, 3 * (tokens + 1), whole=True)
    candidates = AcceptanceSampler(AcceptanceModel(0.7), 0).draft(3, chain.shape(Progress.fresh(3)))
    trees = chain.select(candidates, Progress.fresh(3))
    trees.check()
    assert trees.selected.shape == (3, tokens, 1) and trees.selected.all()


def test_a_chain_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="a chain of 0 draft tokens is not a chain"):
        Chain(0)


@pytest.mark.parametrize(("mean", "steps", "accepted"), [(1.0, 5, 20), (0.0, 24, 0)])
def test_steps_and_counts_when_every_draft_is_right_or_wrong(mean: float, steps: int, accepted: int) -> None:
    request: Request = make_request(prompt=10, output=25)
    assert_served(serve([request], VLLM(), speculation=Chain(4), acceptance=AcceptanceModel(mean)))
    assert request.steps == steps
    assert request.drafted_tokens == 4 * steps and request.accepted_tokens in (accepted, accepted - 1)
