"""Interactions: which were given up, and whose are under way."""

from __future__ import annotations

from collections import OrderedDict
from math import inf

from engine.ordering.mechanics.least import Least
from engine.ordering.mechanics.lines import Lines
from engine.request import Request

MEMORY_S = 3600.0
Key = tuple[str, int]


def opens(request: Request) -> bool:
    """Whether it is the first call of its interaction, or belongs to none."""
    return request.call is None or request.call == 1


def goes_on(request: Request) -> bool:
    """Whether more calls of its interaction follow."""
    return request.call is not None and request.calls is not None and request.call < request.calls


class Interactions:
    """Calls that wait or run, and interactions that were given up, known by client and number.

    An interaction that was given up is forgotten with the last of its calls, or ``MEMORY_S`` after the last that came.
    ``by_number`` knows them by number alone, whoever the client is.
    """

    def __init__(self, by_number: bool = False):
        self._by_number = by_number
        self._here: set[tuple[str, int, int]] = set()
        self._given_up: OrderedDict[Key, tuple[float, float]] = OrderedDict()

    def arrived(self, request: Request) -> str | None:
        """Take a new request in, or say what is wrong with its place in its interaction."""
        call, calls = request.call, request.calls
        if call is None:
            return None
        if call < 1 or (calls is not None and call > calls):
            return f"request {request.id} is call {call} of an interaction of {calls} calls"
        if request.interaction is not None:
            place = request.client, request.interaction, call
            if place in self._here:
                which = f"call {call} of interaction {request.interaction} of client {request.client}"
                return f"request {request.id} is {which}, as is another that has not ended"
            self._here.add(place)
        return None

    def left(self, request: Request) -> None:
        """A request that was taken in ended or was dropped."""
        if request.interaction is not None and request.call is not None:
            self._here.discard((request.client, request.interaction, request.call))

    def give_up(self, request: Request, now: float) -> None:
        """The request is not served, and the calls that follow it shall not be either."""
        key = self._key(request)
        if key is None:
            return
        known = self._given_up.pop(key, None)
        follow = known[1] if known else (request.calls or inf) - (request.call or 1) + 1
        if follow > 1:
            self._given_up[key] = now, follow - 1

    def gave_up(self, request: Request, now: float) -> bool:
        """Whether the request belongs to an interaction that was given up."""
        if not self._given_up:
            return False
        self._forget(now)
        return self._key(request) in self._given_up

    def _key(self, request: Request) -> Key | None:
        if request.interaction is None:
            return None
        return ("" if self._by_number else request.client), request.interaction

    def _forget(self, now: float) -> None:
        """In order of time, since an interaction moves to the end with every call."""
        while self._given_up:
            last_s, _ = next(iter(self._given_up.values()))
            if last_s > now - MEMORY_S:
                break
            self._given_up.popitem(last=False)


class UnderWay:
    """Clients with a running call that others follow, as the last admission pass found them; nobody unless ``wanted``.

    ``start`` and ``end`` are told of such calls only: those that ``goes_on`` is true of.
    """

    def __init__(self, lines: Lines, wanted: bool):
        self._lines, self._wanted = lines, wanted
        self._calls: dict[str, int] = {}
        self._new: dict[int, Request] = {}
        self._least = Least(lines.counters, self._stays)

    def on_pass(self) -> None:
        """Calls admitted in the pass before count from now on."""
        if self._new:
            for request in self._new.values():
                self._calls[request.client] = self._calls.get(request.client, 0) + 1
                self.wait(request.client)
            self._new.clear()

    def start(self, request: Request) -> None:
        """A request was admitted."""
        if self._wanted:
            self._new[request.id] = request

    def end(self, request: Request) -> None:
        """An admitted request runs no more."""
        if self._wanted and self._new.pop(request.id, None) is None:
            self._calls[request.client] -= 1
            if not self._calls[request.client]:
                del self._calls[request.client]
                self._least.discard(request.client)

    def wait(self, client: str) -> None:
        """The client has a waiting request."""
        if client in self._calls:
            self._least.add(client, self._lines.place(client))

    def least(self) -> str | None:
        """Of these clients the one with the least counter that has a waiting request."""
        return self._least.first()

    def _stays(self, client: str) -> bool:
        return client in self._calls and self._lines.waits(client)
