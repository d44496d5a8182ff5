"""Virtual token counter (Sheng et al., OSDI 2024): the client with the least service goes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush, heapreplace

from engine.ordering.base import Ordering
from engine.request import Request


class VTC(Ordering):
    """A counter of weighted tokens for each client; a line in order of arrival within a client.

    ``w_p`` and ``w_q`` weigh a prompt and an output token; ``weights`` gives a client its share (default 1).
    The artifact deviates from the paper in two places, each a switch: ``lift_from_empty=False`` does not lift a client
    that comes while nobody waits; ``duplicate_charge=True`` charges a step before it runs (so not the first token) and
    again in full when a request ended in it.
    """

    def __init__(
        self,
        w_p: float = 1.0,
        w_q: float = 2.0,
        weights: Mapping[str, float] | None = None,
        lift_from_empty: bool = True,
        duplicate_charge: bool = False,
    ):
        self.w_p, self.w_q = w_p, w_q
        self.weights = dict(weights or {})
        self.lift_from_empty = lift_from_empty
        self.duplicate_charge = duplicate_charge
        self.counters: dict[str, float] = {}
        self._lines: dict[str, deque[Request]] = {}
        self._seen: dict[str, int] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._in_heap: set[str] = set()
        self._waiting = 0
        self._last_to_leave: str | None = None

    def enqueue(self, request: Request) -> None:
        line = self._line(request.client)
        if not line:
            self._lift(request.client)
            self._offer(request.client)
        line.append(request)
        self._waiting += 1

    def requeue(self, request: Request) -> None:
        line = self._line(request.client)
        if not line:
            self._offer(request.client)
        line.appendleft(request)
        self._waiting += 1

    def next(self, now: float) -> Request | None:
        client = self._least_served()
        return None if client is None else self._lines[client][0]

    def on_admit(self, request: Request, now: float) -> None:
        client = request.client
        self._lines[client].popleft()
        self._waiting -= 1
        if not request.preemptions:
            self.counters[client] += self.w_p * request.prompt_tokens / self.weights.get(client, 1.0)
        if not self._lines[client]:
            self._last_to_leave = client

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        charge = self.w_q
        if self.duplicate_charge:
            charge *= 0 if first else 1 + (finished > 0)
        counters, weights = self.counters, self.weights
        if not weights:
            for client, tokens in by_client.items():
                counters[client] += charge * tokens
        else:
            for client, tokens in by_client.items():
                counters[client] += charge * tokens / weights.get(client, 1.0)

    def __len__(self) -> int:
        return self._waiting

    def _line(self, client: str) -> deque[Request]:
        if client not in self._lines:
            self._lines[client] = deque()
            self._seen[client] = len(self._seen)
            self.counters[client] = 0.0
        return self._lines[client]

    def _lift(self, client: str) -> None:
        """Raise a returning client to the least counter among the waiting, or to that of the last client that left."""
        least = self._least_served()
        if least is None and self.lift_from_empty:
            least = self._last_to_leave
        if least is not None:
            self.counters[client] = max(self.counters[client], self.counters[least])

    def _offer(self, client: str) -> None:
        if client not in self._in_heap:
            self._in_heap.add(client)
            heappush(self._heap, (self.counters[client], self._seen[client], client))

    def _least_served(self) -> str | None:
        """The waiting client with the least counter; ties go to the client seen first.

        An entry is a lower bound, because counters only grow; the top is refreshed until it tells the truth, which
        costs O(log clients) for each client that was charged past another.
        """
        heap = self._heap
        while heap:
            counter, seen, client = heap[0]
            if not self._lines[client]:
                heappop(heap)
                self._in_heap.discard(client)
            elif counter != self.counters[client]:
                heapreplace(heap, (self.counters[client], seen, client))
            else:
                return client
        return None
