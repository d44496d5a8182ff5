"""Rounds of equal length, and how each client fared in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from engine.request import FINISHED, Request

SLACK = 1e-12


@dataclass(slots=True)
class Tally:
    """A client in a round.

    ``completed`` requests have their ``service`` (input + 2 output tokens) and sums of their ``latency_s`` and ``speed``
    (output tokens a second). ``decided`` counts a request once, when it ended or first exceeded its SLO; ``violations``
    are those decided against: late, failed, refused, or still unfinished beyond the SLO.
    """

    submitted: int = 0
    completed: int = 0
    decided: int = 0
    violations: int = 0
    service: float = 0.0
    latency_s: float = 0.0
    speed: float = 0.0


class Rounds:
    """Round k lasts from k * round_s until before (k + 1) * round_s on the engine's clock; ``number`` is the current one."""

    def __init__(self, round_s: float):
        if not round_s > 0:
            raise ValueError(f"a round must be longer than 0 s, not {round_s:g}")
        self.round_s = round_s
        self.number = 0
        self._tallies: dict[str, Tally] = {}
        self._open: dict[int, Request] = {}
        self._overdue: set[int] = set()

    def over(self, now: float) -> bool:
        """Whether a round ended up to ``now`` that was not given before."""
        return floor(now / self.round_s) > self.number

    def ended(self, now: float) -> Iterator[tuple[dict[str, Tally], int]]:
        """The rounds that ended up to ``now`` and were not given before: the tallies of each, in order of appearance.

        Comes with 1, or with the number of rounds in a stretch without any event or open SLO, which is given at once.
        """
        current = floor(now / self.round_s)
        while self.number < current:
            passed = 1 if self._tallies or self._open else current - self.number
            self.number += passed
            self._find_overdue(self.number * self.round_s)
            tallies, self._tallies = self._tallies, {}
            yield tallies, passed

    def submit(self, request: Request) -> None:
        self._tally(request).submitted += 1
        if request.slo_s is not None:
            self._open[request.id] = request

    def refuse(self, request: Request) -> None:
        """A request that never came to wait: submitted, and decided against."""
        tally = self._tally(request)
        tally.submitted += 1
        tally.decided += 1
        tally.violations += 1

    def finish(self, request: Request, now: float) -> None:
        tally = self._tally(request)
        self._open.pop(request.id, None)
        if request.id in self._overdue:
            self._overdue.remove(request.id)
        else:
            tally.decided += 1
            tally.violations += request.status != FINISHED or late(request, now)
        if request.status == FINISHED:
            latency_s = now - request.arrival_s
            tally.completed += 1
            tally.service += request.prompt_tokens + 2 * request.generated
            tally.latency_s += latency_s
            tally.speed += request.generated / latency_s if latency_s > 0 else 0.0

    def _find_overdue(self, end: float) -> None:
        for request in [request for request in self._open.values() if late(request, end)]:
            del self._open[request.id]
            self._overdue.add(request.id)
            tally = self._tally(request)
            tally.decided += 1
            tally.violations += 1

    def _tally(self, request: Request) -> Tally:
        tally = self._tallies.get(request.client)
        if tally is None:
            tally = self._tallies[request.client] = Tally()
        return tally


def lasts_until_s(number: int, round_s: float) -> float:
    """A time before which round ``number`` is not over, however a quotient is rounded."""
    return (number + 1) * round_s * (1 - SLACK)


def late(request: Request, now: float) -> bool:
    """Whether ``now`` is beyond the request's end-to-end SLO."""
    return request.slo_s is not None and now - request.arrival_s > request.slo_s
