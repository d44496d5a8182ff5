"""What arrives, and when the server sees it."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf

from engine.request import Request


@dataclass(frozen=True, slots=True)
class Socket:
    """How a server reads what clients send; by default each request the moment it is sent.

    ``poll_s`` is how often an idle server looks. ``late``: what comes is seen one step late, as by a server whose event loop
    reads its socket only between two steps. ``reads_per_wait``: it reads only while it waits for the model, so many
    requests each time (``StepPlan.waits``).
    """

    poll_s: float = 0.0
    late: bool = False
    reads_per_wait: float = inf


class Arrivals:
    """Requests on their way to the engine, in order of arrival."""

    def __init__(self, socket: Socket, now: float):
        self._socket = socket
        self._queue: deque[Request] = deque()
        self._source: Iterator[Request] = iter(())
        self._next_s = inf
        self._seen_until = now
        self._waits, self._may_read = 1, socket.reads_per_wait

    def submit(self, request: Request) -> None:
        """Hand in a request whose arrival does not lie before that of an earlier one."""
        self._queue.append(request)
        self._next_s = self._queue[0].arrival_s

    def withdraw(self, request: Request) -> None:
        """Take back a request that nobody has seen."""
        self._queue.remove(request)
        self._next_s = self._queue[0].arrival_s if self._queue else inf

    def feed(self, requests: Iterable[Request]) -> None:
        """Take further requests from ``requests`` as they are needed."""
        self._source = iter(requests)
        self._first()

    def seen(self, now: float) -> Sequence[Request]:
        """The requests that the server sees as a step begins at ``now``."""
        visible = self._seen_until if self._socket.late else now
        self._seen_until = now
        return self._take(visible) if self._next_s <= visible else ()

    @property
    def first_s(self) -> float:
        """Arrival of the next request, or earlier; inf without one."""
        return self._next_s

    def unseen(self, starts: Sequence[float]) -> int:
        """How many of the steps that begin at ``starts``, the first of which has seen what it sees, see nothing new."""
        return max(bisect_left(starts, self._next_s) + self._socket.late, 1)

    def passed(self, waits: int, steps: int, now: float) -> None:
        """``steps`` steps with ``waits`` waits each were done, in which nothing was seen or ended, and a step begins."""
        self._waits, self._seen_until = waits, now
        before = inf
        while steps and self._may_read != before:
            before, steps = self._may_read, steps - 1
            self._read_on(waits)

    def next_s(self, now: float) -> float:
        """When an idle server will see the next request; inf without one."""
        request = self._first()
        if request is None:
            return inf
        poll_s, arrival_s = self._socket.poll_s, request.arrival_s
        return max(now + ceil((arrival_s - now) / poll_s) * poll_s if poll_s else arrival_s, arrival_s)

    def step_done(self, waits: int, ended: int) -> None:
        """A step made the server wait ``waits`` times for its model, and once more to let ``ended`` requests go."""
        self._waits = waits
        self._read_on(waits + (ended > 0))

    def idled(self, now: float) -> None:
        """The server slept until ``now``."""
        self._read_on(self._waits)
        self._seen_until = now

    def _read_on(self, waits: int) -> None:
        """Reads that were not needed are not saved up, but for a part of one."""
        self._may_read = min(self._may_read, 1.0) + self._socket.reads_per_wait * waits

    def _take(self, visible: float) -> list[Request]:
        taken = []
        while self._may_read >= 1 and (request := self._first()) is not None and request.arrival_s <= visible:
            taken.append(self._queue.popleft())
            self._may_read -= 1
        return taken

    def _first(self) -> Request | None:
        if not self._queue and (request := next(self._source, None)):
            self._queue.append(request)
        first = self._queue[0] if self._queue else None
        self._next_s = first.arrival_s if first else inf
        return first
