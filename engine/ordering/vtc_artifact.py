"""VTC as ExFairS's artifact has it, under another meaning of its name: variable token credits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from math import floor, inf

from engine.horizon import Horizon
from engine.ordering.base import Ordering
from engine.ordering.mechanics.rounds import lasts_until_s
from engine.request import FINISHED, Request


class VTCArtifact(Ordering):
    """The client with the fewest tokens of completed requests in this round goes next; ties by arrival.

    Input and output tokens count alike, nothing is charged before the end, nobody is lifted, and every ``round_s`` all
    counters return to 0.
    """

    def __init__(self, round_s: float = 60.0):
        if not round_s > 0:
            raise ValueError(f"a round must be longer than 0 s, not {round_s:g}")
        self.round_s = round_s
        self.used: dict[str, int] = {}
        self._round = 0
        self._lines: dict[str, deque[Request]] = {}
        self._heap: list[tuple[int, float, int, str]] = []
        self._waiting = 0

    def on_arrival(self, request: Request, now: float) -> str | None:
        self.on_pass(now)
        return super().on_arrival(request, now)

    def enqueue(self, request: Request) -> None:
        self._waiting += 1
        line = self._lines.setdefault(request.client, deque())
        line.append(request)
        if len(line) == 1:
            self._offer(request.client)

    def requeue(self, request: Request) -> None:
        self._waiting += 1
        self._lines.setdefault(request.client, deque()).appendleft(request)
        self._offer(request.client)

    def next(self, now: float) -> Request | None:
        heap = self._heap
        while heap:
            client = heap[0][-1]
            if client in self._lines and heap[0] == self._key(client):
                return self._lines[client][0]
            heappop(heap)
        return None

    def on_pass(self, now: float) -> None:
        number = floor(now / self.round_s)
        if number != self._round:
            self._round = number
            self.used.clear()
            self._heap = [self._key(client) for client in self._lines]
            heapify(self._heap)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        return Horizon(inf, lasts_until_s(self._round, self.round_s))

    def on_admit(self, request: Request, now: float) -> None:
        self._leave(request)

    def withdraw(self, request: Request, now: float) -> None:
        self.on_pass(now)
        self._leave(request)

    def _leave(self, request: Request) -> None:
        self._waiting -= 1
        line = self._lines[request.client]
        line.remove(request)
        if line:
            self._offer(request.client)
        else:
            del self._lines[request.client]

    def on_finish(self, request: Request, now: float) -> None:
        self.on_pass(now)
        if request.status == FINISHED:
            self.used[request.client] = self.used.get(request.client, 0) + request.prompt_tokens + request.generated
            if request.client in self._lines:
                self._offer(request.client)

    def __len__(self) -> int:
        return self._waiting

    def _key(self, client: str) -> tuple[int, float, int, str]:
        head = self._lines[client][0]
        return self.used.get(client, 0), head.arrival_s, head.id, client

    def _offer(self, client: str) -> None:
        heappush(self._heap, self._key(client))
