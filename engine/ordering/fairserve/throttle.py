"""Limits on requests a minute, and what a client owes that was let off."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from engine.ordering.mechanics.windows import WINDOW_S, LastMinute
from engine.request import Request


class Arrivals(deque[float]):
    """Times of arrivals, and how many of those requests are still ``here``."""

    __slots__ = ("here",)

    def __init__(self) -> None:
        self.here = 0


class MinuteToLast:
    """Arrivals of each key within the minute that ended with its last arrival.

    A key is forgotten when none of its requests is here and the last left more than a minute ago. ``from_first``: the
    minute that began with the first arrival ever, so that a count never falls and no key is forgotten.
    """

    def __init__(self, from_first: bool = False):
        self._from_first = from_first
        self._times: dict[str, Arrivals] = {}
        self._left: deque[tuple[float, str]] = deque()

    def count(self, key: str) -> int:
        return len(self._times.get(key, ()))

    def add(self, key: str, now: float) -> Sequence[str]:
        """A request of ``key`` arrived. Returns the keys that are now forgotten."""
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = Arrivals()
        times.here += 1
        if self._from_first and times and now - times[0] > WINDOW_S:
            return ()
        times.append(now)
        while times[0] <= now - WINDOW_S:
            times.popleft()
        return self._forget(now) if self._left and self._left[0][0] <= now - WINDOW_S else ()

    def leave(self, key: str, now: float) -> None:
        """A request of ``key`` ended or was dropped."""
        times = self._times[key]
        times.here -= 1
        if not times.here and not self._from_first:
            self._left.append((now, key))

    def _forget(self, now: float) -> list[str]:
        gone = []
        while self._left and self._left[0][0] <= now - WINDOW_S:
            _, key = self._left.popleft()
            times = self._times.get(key)
            if times and not times.here and times[-1] <= now - WINDOW_S:
                del self._times[key]
                gone.append(key)
        return gone


class Limits:
    """At most ``limit`` requests a minute from a client, and with ``apps`` an application's ``app_limit`` from all."""

    def __init__(self, limit: int, apps: bool):
        self.limit, self._apps = limit, apps

    def app(self, request: Request) -> str | None:
        """The application whose limit the request comes under."""
        return request.app if self._apps and request.app_limit is not None else None

    def exceeded(self, request: Request, of_client: int, of_app: int) -> str | None:
        """Why the request is over a limit, given the arrivals counted against it."""
        if of_client >= self.limit:
            return f"client {request.client} sent {of_client} requests within a minute, and its limit is {self.limit}"
        if (app := self.app(request)) is not None and of_app >= (request.app_limit or 0):
            return f"application {app} had {of_app} requests within a minute, and its limit is {request.app_limit}"
        return None


class Throttle:
    """Holds requests that wait against ``limits``, by the minute that ended with the last arrival of client or application."""

    def __init__(self, limits: Limits, from_first: bool = False):
        self._limits = limits
        self._clients, self._apps = MinuteToLast(from_first), MinuteToLast(from_first)

    def arrived(self, request: Request, now: float) -> Sequence[str]:
        """Count a request in. Returns the clients that are forgotten."""
        if app := self._limits.app(request):
            self._apps.add(app, now)
        return self._clients.add(request.client, now)

    def left(self, request: Request, now: float) -> None:
        self._clients.leave(request.client, now)
        if app := self._limits.app(request):
            self._apps.leave(app, now)

    def exceeded(self, request: Request) -> str | None:
        of_app = self._apps.count(app) if (app := self._limits.app(request)) else 0
        return self._limits.exceeded(request, self._clients.count(request.client), of_app)


class Gate:
    """Holds requests that arrive against ``limits``, by those accepted in the last minute."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._clients, self._apps = LastMinute(), LastMinute()

    def refuse(self, request: Request, now: float, may_refuse: bool) -> str | None:
        """Why the request is turned away, if it may be; otherwise it counts as accepted."""
        app = self._limits.app(request)
        of_app = self._apps.count(app, now) if app else 0
        reason = self._limits.exceeded(request, self._clients.count(request.client, now), of_app)
        if reason and may_refuse:
            return reason
        self._clients.add(request.client, now)
        if app:
            self._apps.add(app, now)
        return None


class Debts:
    """What clients owe: one for each request that was let off, however often it was."""

    def __init__(self) -> None:
        self._owed: dict[str, int] = {}
        self._let_off: set[int] = set()

    def of(self, client: str) -> int:
        return self._owed.get(client, 0)

    def owe(self, request: Request) -> None:
        if request.id not in self._let_off:
            self._let_off.add(request.id)
            self._owed[request.client] = self.of(request.client) + 1

    def repay(self, client: str) -> None:
        """One less, if anything is owed."""
        if self.of(client) > 1:
            self._owed[client] -= 1
        else:
            self._owed.pop(client, None)

    def left(self, request: Request) -> None:
        """The request is here no more; what is owed for it stays."""
        self._let_off.discard(request.id)

    def forgive(self, client: str) -> None:
        self._owed.pop(client, None)
