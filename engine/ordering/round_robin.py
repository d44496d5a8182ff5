"""Round-robin: clients take turns in the order of their names, one request each."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from engine.horizon import ENDLESS, Horizon
from engine.ordering.base import Ordering
from engine.request import Request


class RoundRobin(Ordering):
    """Next is the first name after the one served last that has a request waiting, and after the last name the first."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Request]] = {}
        self._this_round: list[str] = []
        self._next_round: list[str] = []
        self._served = ""
        self._waiting = 0

    def enqueue(self, request: Request) -> None:
        self._line(request.client).append(request)

    def requeue(self, request: Request) -> None:
        self._line(request.client).appendleft(request)

    def next(self, now: float) -> Request | None:
        turns = self._this_round or self._next_round
        return self._lines[turns[0]][0] if turns else None

    def on_admit(self, request: Request, now: float) -> None:
        if not self._this_round:
            self._this_round, self._next_round = self._next_round, []
        client = self._served = heappop(self._this_round)
        line = self._lines[client]
        line.popleft()
        self._waiting -= 1
        if line:
            heappush(self._next_round, client)
        else:
            del self._lines[client]

    def withdraw(self, request: Request, now: float) -> None:
        line = self._lines[request.client]
        line.remove(request)
        self._waiting -= 1
        if not line:
            del self._lines[request.client]
            turns = self._this_round if request.client in self._this_round else self._next_round
            turns.remove(request.client)
            heapify(turns)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        return ENDLESS

    def __len__(self) -> int:
        return self._waiting

    def _line(self, client: str) -> deque[Request]:
        self._waiting += 1
        if client not in self._lines:
            self._lines[client] = deque()
            heappush(self._this_round if client > self._served else self._next_round, client)
        return self._lines[client]
