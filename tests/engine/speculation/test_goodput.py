"""The goodput-driven chain: as long as pays, and it learns what is accepted."""

from __future__ import annotations

import numpy as np
import pytest

from engine.batching.vllm import VLLM
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.progress import Progress
from engine.speculation.goodput import GoodputChain
from tests.engine.strategies import assert_served, make_request, serve

TABLE = {"verify_tokens": (0.0, 1000.0), "verify_s": (0.030, 0.230)}


def length(policy: GoodputChain, requests: int) -> int:
    shape = policy.shape(Progress.fresh(requests))
    return 0 if shape is None else shape.depth


@pytest.mark.parametrize("accepted", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("requests", [1, 40, 300])
def test_the_length_is_the_best_of_all(accepted: float, requests: int) -> None:
    policy = GoodputChain(longest=8, draft_step_s=0.004, accepted=accepted, **TABLE)
    rates = []
    for k in range(9):
        tokens = requests * sum(accepted**i for i in range(k + 1))
        rates.append(tokens / (0.004 * k + 0.030 + 0.0002 * requests * (k + 1)))
    assert length(policy, requests) == int(np.argmax(rates))


def test_it_shortens_with_the_batch_and_lengthens_with_acceptance() -> None:
    by_batch = [length(GoodputChain(**TABLE), n) for n in (1, 20, 100, 500)]
    by_chance = [length(GoodputChain(accepted=chance, **TABLE), 20) for chance in (0.0, 0.5, 0.9)]
    assert by_batch == sorted(by_batch, reverse=True) and by_batch[0] > by_batch[-1] == 0
    assert by_chance == sorted(by_chance) and by_chance[0] == 0 < by_chance[-1]


@pytest.mark.parametrize("chance", [0.2, 0.9])
def test_it_learns_the_acceptance_that_it_sees(chance: float) -> None:
    policy = GoodputChain(accepted=0.6, memory=200, **TABLE)
    requests = [make_request(i, prompt=4, output=200) for i in range(4)]
    assert_served(serve(requests, VLLM(), speculation=policy, acceptance=AcceptanceModel(chance)))
    assert policy.hits / policy.tries == pytest.approx(chance, abs=0.1)


@pytest.mark.parametrize("wrong", [{"longest": 0}, {"memory": 0.5}, {"accepted": 1.5}], ids=str)
def test_what_is_no_policy_is_an_error(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        GoodputChain(**wrong)  # type: ignore[arg-type]
