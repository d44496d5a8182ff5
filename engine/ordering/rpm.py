"""Requests a minute: whoever sent too many in the last minute is turned away, everyone else is served in order."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ordering.mechanics.interactions import Interactions
from engine.ordering.mechanics.one_line import OneLine
from engine.ordering.mechanics.windows import LastMinute
from engine.request import Request


class RPM(OneLine):
    """Rejects a request whose client has ``limit`` accepted arrivals in the last minute; rejected ones do not count.

    With ``follow`` the calls that follow a rejected one in its interaction are dropped when their turn comes, as in
    FairServe's artifact. Not work-conserving: capacity stays idle while requests are turned away (Sheng et al., OSDI
    2024, 2.2).
    """

    def __init__(self, limit: int = 180, follow: bool = False):
        super().__init__()
        if type(limit) is not int or limit < 1:
            raise ValueError(f"limit must be a whole number of at least 1, not {limit}")
        if not isinstance(follow, bool):
            raise ValueError(f"follow is true or false, not {follow}")
        self.limit = limit
        self._follow = follow
        self._accepted = LastMinute()
        self._interactions = Interactions()
        self._dropped: list[tuple[Request, str]] = []

    def on_arrival(self, request: Request, now: float) -> str | None:
        if self._accepted.count(request.client, now) >= self.limit:
            if self._follow:
                self._interactions.give_up(request, now)
            return f"client {request.client} sent more than {self.limit} requests within a minute"
        self._accepted.add(request.client, now)
        self.enqueue(request)
        return None

    def next(self, now: float) -> Request | None:
        while self._line and self._interactions.gave_up(self._line[0], now) and not self._line[0].preemptions:
            request = self._line.popleft()
            self._interactions.give_up(request, now)
            self._dropped.append((request, f"an earlier call of interaction {request.interaction} was rejected"))
        return super().next(now)

    def withdraw(self, request: Request, now: float) -> None:
        super().withdraw(request, now)
        if self._follow:
            self._interactions.give_up(request, now)

    def take_dropped(self) -> Sequence[tuple[Request, str]]:
        dropped, self._dropped = self._dropped, []
        return dropped
