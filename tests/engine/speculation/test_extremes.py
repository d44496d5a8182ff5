"""Every speculation policy where it has nothing to gain, or everything: nothing is lost, and no run goes on for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.batching.sarathi import Sarathi
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost
from engine.progress import Progress
from engine.speculation import Speculation
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.goodput import GoodputChain
from engine.speculation.specinfer import SpecInfer
from tests.engine.strategies import COST, assert_served, make_request, serve

TABLE = {"verify_tokens": (0.0, 100.0), "verify_s": (0.010, 0.020)}
POLICIES: dict[str, Callable[[], Speculation]] = {
    "adaserve": lambda: AdaServe(budget=24, draft_s=0.004, **TABLE),
    "adaserve without SLO selection": lambda: AdaServe(budget=24, slo_selection=False, rest="equal"),
    "a budget of 1": lambda: AdaServe(budget=1),
    "chain": lambda: Chain(3),
    "goodput": lambda: GoodputChain(draft_step_s=0.001, **TABLE),
    "specinfer": SpecInfer,
}
SLOS = (None, 1e-9, 0.015, 1e9)


@pytest.mark.parametrize("requests", [0, 1, 30])
@pytest.mark.parametrize("acceptance", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("name", POLICIES)
def test_all_are_served_whatever_is_accepted(name: str, acceptance: float, requests: int) -> None:
    asked = [make_request(i, prompt=5, output=1 + i % 9, slo_tpot_s=SLOS[i % 4]) for i in range(requests)]
    served = serve(asked, Sarathi(token_budget=64), speculation=POLICIES[name](), acceptance=AcceptanceModel(acceptance))
    assert_served(served)
    if acceptance == 0.0:
        assert all(request.accepted_tokens == 0 for request in asked)


@pytest.mark.parametrize("name", POLICIES)
def test_a_draft_slower_than_the_target_is_borne(name: str) -> None:
    slow = replace(COST, draft=DraftCost(step_s=0.5, token_s=1e-5))
    asked = [make_request(i, prompt=5, output=6, slo_tpot_s=0.02) for i in range(5)]
    assert_served(serve(asked, Sarathi(), speculation=POLICIES[name](), cost=slow))


def test_a_draft_slower_than_the_target_is_not_asked_where_goodput_counts() -> None:
    assert GoodputChain(draft_step_s=0.5, **TABLE).shape(Progress.fresh(4)) is None


def test_more_requests_than_budget_draft_nothing_and_decode_together() -> None:
    """On a CPU drafted layers that nobody verifies cost as much as others."""
    asked = [make_request(i, prompt=5, output=8) for i in range(12)]
    served = serve(asked, Sarathi(), speculation=AdaServe(budget=8))
    assert_served(served)
    assert any(step.draft is not None for step in served.seen) == any(0 < step.rows < 8 for step in served.seen if step.decode)
    assert all(step.draft is None for step in served.seen if step.rows >= 8)


@pytest.mark.parametrize("slo_s", [1e-12, 1e12])
def test_an_slo_that_nothing_can_keep_or_miss_gives_finite_needs(slo_s: float) -> None:
    policy = AdaServe(**TABLE)
    progress = replace(Progress.fresh(3), slo_tpot_s=np.full(3, slo_s))
    assert np.isfinite(policy.need(progress, 10)).all()
