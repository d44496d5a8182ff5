"""What policies with a counter for each client share: a line of waiting requests each, and who has the least counter."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from engine.ordering.mechanics.least import Least
from engine.request import Request


class ClientLine(deque[Request]):
    """A client's waiting requests, first to last; its ``place`` among the clients seen; how many of its requests run."""

    __slots__ = ("place", "running")

    def __init__(self, place: int):
        self.place, self.running = place, 0


class Lines:
    """One line in order of arrival for each client.

    ``counters`` holds what each client was charged. It may be raised directly; ``lower`` takes something back. A client
    that has neither a waiting nor a running request is forgotten once its counter is no higher than the least among the
    waiting, to which its return would lift it anyway; it comes back as one seen last. With ``keep`` it never is, for
    policies that do not always lift.
    """

    def __init__(self, keep: bool = False) -> None:
        self.counters: dict[str, float] = {}
        self._last_to_leave: str | None = None
        self._keep = keep
        self._lines: dict[str, ClientLine] = {}
        self._least = Least(self.counters, stays=self._lines.get)
        self._gone: list[tuple[float, str]] = []
        self._clients = self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waits(self, client: str) -> bool:
        """Whether the client has a waiting request."""
        return bool(self._lines.get(client))

    def place(self, client: str) -> int:
        """How many clients were seen before this one."""
        return self._lines[client].place

    def head(self, client: str) -> Request:
        """The client's oldest waiting request."""
        return self._lines[client][0]

    def append(self, request: Request) -> None:
        client = request.client
        line = self._lines.get(client)
        if line is None:
            line = self._see(client)
        if not line:
            self._least.add(client, line.place)
        line.append(request)
        self._waiting += 1

    def prepend(self, request: Request) -> None:
        """A pre-empted request comes back to the front."""
        line = self._lines[request.client]
        if not line:
            self._least.add(request.client, line.place)
        line.appendleft(request)
        line.running -= 1
        self._waiting += 1

    def admit(self, request: Request) -> None:
        """The head of its client's line leaves it and runs."""
        self._lines[request.client].running += 1
        self.drop(request)

    def drop(self, request: Request) -> None:
        """A waiting request leaves its client's line."""
        client = request.client
        line = self._lines[client]
        line.remove(request)
        self._waiting -= 1
        if not line:
            self._last_to_leave = client
            if not line.running:
                self._let_go(client)

    def last_counter(self) -> float | None:
        """The counter, as it is now, of the client that was the last to leave the queue."""
        return None if self._last_to_leave is None else self.counters[self._last_to_leave]

    def end(self, client: str) -> None:
        """A running request of the client ended."""
        line = self._lines[client]
        line.running -= 1
        if not (line.running or line):
            self._let_go(client)

    def lift(self, client: str, value: float | None) -> None:
        """Raise a counter to ``value``, if that is higher."""
        if client not in self._lines:
            self._see(client)
        if value is not None and value > self.counters[client]:
            self.counters[client] = value

    def lower(self, client: str, amount: float) -> None:
        """Take back what was charged too much."""
        self.counters[client] -= amount
        self._least.refresh(client)

    def least(self) -> str | None:
        """The waiting client with the least counter; ties go to the client seen first."""
        client = self._least.first()
        if client is not None and self._gone:
            self._forget_below(self.counters[client])
        return client

    def second(self) -> str | None:
        """The waiting client with the least counter but one."""
        return self._least.second()

    def _see(self, client: str) -> ClientLine:
        line = self._lines[client] = ClientLine(self._clients)
        self._clients += 1
        self.counters[client] = 0.0
        return line

    def _let_go(self, client: str) -> None:
        """A client that has neither a waiting nor a running request may be forgotten."""
        if not self._keep:
            heappush(self._gone, (self.counters[client], client))

    def _forget_below(self, least: float) -> None:
        gone = self._gone
        while gone and gone[0][0] <= least:
            _, client = heappop(gone)
            line = self._lines.get(client)
            if line is None or line or line.running or self.counters[client] > least:
                continue
            self._least.discard(client)
            del self._lines[client], self.counters[client]
