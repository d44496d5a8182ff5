"""ExFairS: whatever one client gains another gives, and nothing but an exchange moves a priority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.mechanics.by_rounds import ByRounds
from engine.ordering.mechanics.recent import DAY_S
from engine.request import Request
from tests.engine.invariants.stages import SIMULATED, Stage
from tests.engine.invariants.traffic import traffic

ROUND_S = 0.03
LOADED = traffic(min_size=10, max_size=40)
KEPT_S = st.sampled_from((0.05, DAY_S))


class Audited(ByRounds):
    """Every event passes through ``on_pass``: the books are balanced after it, and nothing moved since the one before."""

    exchanged: int

    def __init__(self, **parameters: Any):
        super().__init__(**parameters)
        self._known: dict[str, float] = {}

    def on_pass(self, now: float) -> None:
        assert stayed(self.priorities, self._known)
        exchanged = self.exchanged
        super().on_pass(now)
        assert sum(self.credits.values()) + self.departed == 0
        assert self.exchanged > exchanged or stayed(self.priorities, self._known)
        self._known = self.priorities


def stayed(priorities: Mapping[str, float], before: Mapping[str, float]) -> bool:
    """Newcomers begin at 0; those that were forgotten are gone."""
    return all(priority == before.get(client, 0.0) for client, priority in priorities.items())


class AuditedExFairS(Audited, ExFairS):
    """Without a bound, a priority is what the client gave less what it got: its credit."""

    def on_pass(self, now: float) -> None:
        super().on_pass(now)
        assert self.priorities == self.credits


class AuditedContinuous(Audited, ContinuousExFairS):
    def on_pass(self, now: float) -> None:
        super().on_pass(now)
        assert all(abs(priority) <= self.bound for priority in self.priorities.values())


@pytest.mark.parametrize("form", [AuditedExFairS, AuditedContinuous])
def test_credits_sum_to_zero_and_priorities_move_by_exchanges_only(stage: Stage, form: type[Audited]) -> None:
    def check(requests: list[Request], keep_s: float, alpha: float) -> None:
        stage.serve(requests, form(round_s=ROUND_S, alpha=alpha, keep_s=keep_s))

    stage.holds(60, check, LOADED, KEPT_S, st.floats(0.3, 0.95))


@pytest.mark.parametrize("form", [AuditedExFairS, AuditedContinuous])
def test_most_loads_do_make_clients_exchange(form: type[Audited]) -> None:
    exchanged = []

    def check(requests: list[Request]) -> None:
        policy = form(round_s=ROUND_S, alpha=0.5)
        SIMULATED.serve(requests, policy)
        exchanged.append(policy.exchanged > 0)

    SIMULATED.holds(30, check, LOADED)
    assert sum(exchanged) > len(exchanged) / 2
