"""SLO-greedy: the client of whose requests most failed goes first (a baseline of ExFairS's artifact)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ordering.mechanics.ranked import Ranked
from engine.ordering.mechanics.recent import DAY_S, Recent
from engine.ordering.mechanics.rounds import late
from engine.request import FINISHED, Request

UNKNOWN = 0.5
KNOWN_FROM = 10


@dataclass(slots=True)
class _History:
    ended: int = 0
    failed: int = 0


class SLOGreedy(Ranked):
    """A request is ranked, when it comes, by the failed share of its client's ended ones; 0.5 before there are ten.

    A refused request and one whose client gave up have failed; as in the artifact an answer that came too late has not,
    but ``count_late`` counts it. A client without an ended request for ``keep_s`` is forgotten.
    """

    def __init__(self, count_late: bool = False, keep_s: float = DAY_S):
        super().__init__()
        self.count_late = count_late
        self.histories = Recent(_History, keep_s)

    def rank(self, request: Request) -> float:
        history = self.histories.get(request.client)
        if history is None or history.ended < KNOWN_FROM:
            return -UNKNOWN
        return -history.failed / history.ended

    def withdraw(self, request: Request, now: float) -> None:
        super().withdraw(request, now)
        self._end(request, now, failed=True)

    def on_refused(self, request: Request) -> None:
        self._end(request, request.arrival_s, failed=True)

    def on_finish(self, request: Request, now: float) -> None:
        self._end(request, now, request.status != FINISHED or (self.count_late and late(request, now)))

    def _end(self, request: Request, now: float, failed: bool) -> None:
        history = self.histories.touch(request.client, now)
        history.ended += 1
        history.failed += failed
        for _ in self.histories.forget(now):
            pass
