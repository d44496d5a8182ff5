"""Requests a minute: never more than the limit in any minute, never fewer than it allows, and idle while it refuses."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st

from engine.ordering.rpm import RPM
from engine.request import FINISHED, REJECTED, Request
from tests.engine.invariants.stages import SIMULATED, Stage
from tests.engine.invariants.traffic import crowd, traffic

MINUTE_S = 60.0


class WatchedRPM(RPM):
    """Remembers by client when it accepted and when it rejected."""

    def __init__(self, limit: int):
        super().__init__(limit)
        self.accepted: defaultdict[str, list[float]] = defaultdict(list)
        self.rejected: defaultdict[str, list[float]] = defaultdict(list)

    def on_arrival(self, request: Request, now: float) -> str | None:
        reason = super().on_arrival(request, now)
        (self.rejected if reason else self.accepted)[request.client].append(now)
        return reason


def in_the_minute_to(now: float, times: list[float]) -> int:
    return sum(now - MINUTE_S < time <= now for time in times)


def test_no_minute_has_more_accepted_requests_than_the_limit_and_none_is_rejected_below_it(stage: Stage) -> None:
    """A half-open minute that has the most of them ends with one of them."""

    def check(requests: list[Request], limit: int) -> None:
        policy = WatchedRPM(limit)
        stage.serve(requests, policy)
        for client, times in policy.accepted.items():
            assert all(in_the_minute_to(time, times) <= limit for time in times)
            assert all(in_the_minute_to(time, times) == limit for time in policy.rejected[client])
        assert set(policy.rejected) <= set(policy.accepted)

    gaps_s = st.sampled_from((0.0, 20.0, 29.5, 30.0, 59.5) if stage is SIMULATED else (0.0, 0.01))
    stage.holds(80, check, traffic(gaps_s=gaps_s), st.integers(1, 4))


def test_it_turns_requests_away_while_the_engine_is_idle(stage: Stage) -> None:
    history = stage.serve(crowd([("a", 4, 3)], each=2), RPM(limit=2), late=crowd([("a", 4, 3)], first=2, each=3))
    assert [request.status for request in history.requests] == [FINISHED] * 2 + [REJECTED] * 3
    assert not any(history.backlogged("a"))
