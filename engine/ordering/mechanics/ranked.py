"""Waiting requests by rank."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import count
from math import inf

from engine.horizon import ENDLESS, Horizon
from engine.ordering.base import Ordering
from engine.request import Request


class Ranked(Ordering):
    """The smallest rank goes first, in order of arrival within a rank; a pre-empted request goes before all of them.

    What left its place stays in the heap until it comes to the top, so that a decision costs O(log requests).
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Request]] = []
        self._places: dict[int, tuple[float, int]] = {}
        self._turn = count(1)

    @abstractmethod
    def rank(self, request: Request) -> float:
        """Asked once, when the request comes."""

    def enqueue(self, request: Request) -> None:
        self.place(request, self.rank(request))

    def requeue(self, request: Request) -> None:
        self.place(request, -inf, first=True)

    def next(self, now: float) -> Request | None:
        heap = self._heap
        while heap:
            rank, turn, request = heap[0]
            if self.waits_at(request) == (rank, turn):
                return request
            heappop(heap)
        return None

    def on_admit(self, request: Request, now: float) -> None:
        del self._places[request.id]

    def withdraw(self, request: Request, now: float) -> None:
        del self._places[request.id]

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        return ENDLESS

    def __len__(self) -> int:
        return len(self._places)

    def place(self, request: Request, rank: float, first: bool = False) -> tuple[float, int]:
        """Put a request at the end of a rank, or at its head, wherever it waited before. Returns the new place."""
        turn = next(self._turn)
        place = rank, -turn if first else turn
        self._places[request.id] = place
        heappush(self._heap, (*place, request))
        return place

    def waits_at(self, request: Request) -> tuple[float, int] | None:
        """The place of a request, another one whenever it is placed again; None when it does not wait."""
        return self._places.get(request.id)
