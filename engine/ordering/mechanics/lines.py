"""What policies with a counter for each client share: a line of waiting requests each, and who has the least counter."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from engine.ordering.mechanics.least import Least
from engine.request import Request


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
        self._lines: dict[str, deque[Request]] = {}
        self._seen: dict[str, int] = {}
        self._running: dict[str, int] = {}
        self._least = Least(self.counters, self.waits)
        self._gone: list[tuple[float, str]] = []
        self._clients = self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waits(self, client: str) -> bool:
        """Whether the client has a waiting request."""
        return bool(self._lines.get(client))

    def place(self, client: str) -> int:
        """How many clients were seen before this one."""
        return self._seen[client]

    def head(self, client: str) -> Request:
        """The client's oldest waiting request."""
        return self._lines[client][0]

    def append(self, request: Request) -> None:
        self._line(request.client).append(request)
        self._offer(request.client)

    def prepend(self, request: Request) -> None:
        """A pre-empted request comes back to the front."""
        self._line(request.client).appendleft(request)
        self._running[request.client] -= 1
        self._offer(request.client)

    def admit(self, request: Request) -> None:
        """The head of its client's line leaves it and runs."""
        self._running[request.client] = self._running.get(request.client, 0) + 1
        self.drop(request)

    def drop(self, request: Request) -> None:
        """The head of its client's line leaves it."""
        line = self._lines[request.client]
        line.popleft()
        self._waiting -= 1
        if not line:
            self._last_to_leave = request.client
            self._let_go(request.client)

    def last_counter(self) -> float | None:
        """The counter, as it is now, of the client that was the last to leave the queue."""
        return None if self._last_to_leave is None else self.counters[self._last_to_leave]

    def end(self, client: str) -> None:
        """A running request of the client ended."""
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
            self._let_go(client)

    def lift(self, client: str, value: float | None) -> None:
        """Raise a counter to ``value``, if that is higher."""
        self._line(client)
        if value is not None and value > self.counters[client]:
            self.counters[client] = value

    def lower(self, client: str, amount: float) -> None:
        """Take back what was charged too much."""
        self.counters[client] -= amount
        self._least.refresh(client)

    def least(self) -> str | None:
        """The waiting client with the least counter; ties go to the client seen first."""
        client = self._least.first()
        if client is not None:
            self._forget_below(self.counters[client])
        return client

    def second(self) -> str | None:
        """The waiting client with the least counter but one."""
        return self._least.second()

    def _line(self, client: str) -> deque[Request]:
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = deque()
            self._seen[client] = self._clients
            self._clients += 1
            self.counters[client] = 0.0
        return line

    def _offer(self, client: str) -> None:
        self._waiting += 1
        self._least.add(client, self._seen[client])

    def _let_go(self, client: str) -> None:
        """A client that has neither a waiting nor a running request may be forgotten."""
        if not (self._keep or self._lines[client] or client in self._running):
            heappush(self._gone, (self.counters[client], client))

    def _forget_below(self, least: float) -> None:
        gone = self._gone
        while gone and gone[0][0] <= least:
            _, client = heappop(gone)
            line = self._lines.get(client)
            if line is None or line or client in self._running or self.counters[client] > least:
                continue
            self._least.discard(client)
            del self._lines[client], self._seen[client], self.counters[client]
