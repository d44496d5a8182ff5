"""Requests a minute: whoever sent too many in the last minute is turned away, everyone else is served in order."""

from __future__ import annotations

from engine.ordering.mechanics.one_line import OneLine
from engine.ordering.mechanics.windows import LastMinute
from engine.request import Request


class RPM(OneLine):
    """Rejects a request whose client has ``limit`` accepted arrivals in the last minute; rejected ones do not count.

    Not work-conserving: capacity stays idle while requests are turned away (Sheng et al., OSDI 2024, 2.2).
    """

    def __init__(self, limit: int):
        super().__init__()
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        self.limit = limit
        self._accepted = LastMinute()

    def on_arrival(self, request: Request, now: float) -> str | None:
        if self._accepted.count(request.client, now) >= self.limit:
            return f"client {request.client} sent more than {self.limit} requests within a minute"
        self._accepted.add(request.client, now)
        self.enqueue(request)
        return None
