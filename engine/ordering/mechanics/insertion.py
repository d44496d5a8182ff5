"""Partial priority insertion: a newcomer passes a part of those with a larger number (ExFairS)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable

from engine.request import Request

PREEMPTED = -1


class Levels:
    """How many requests wait at each priority."""

    def __init__(self) -> None:
        self._sorted: list[float] = []
        self._counts: dict[float, int] = {}

    def add(self, priority: float) -> None:
        if priority not in self._counts:
            insort(self._sorted, priority)
        self._counts[priority] = self._counts.get(priority, 0) + 1

    def remove(self, priority: float) -> None:
        self._counts[priority] -= 1
        if not self._counts[priority]:
            del self._counts[priority]
            del self._sorted[bisect_left(self._sorted, priority)]

    def rank(self, priority: float) -> tuple[int, int]:
        """How many distinct levels are better, of how many if this one is counted too."""
        return bisect_left(self._sorted, priority), len(self._sorted) + (priority not in self._counts)

    def above(self, priority: float) -> int:
        """Requests with a larger number."""
        return sum(map(self._counts.__getitem__, self._sorted[bisect_right(self._sorted, priority) :]))


Advance = Callable[[float, int, Levels], float]
"""Positions that a newcomer of a priority advances, given how many requests have a larger number, and the levels."""


def by_rank(multiplier: float) -> Advance:
    """The better the level among those that wait, the larger the share of the overtakable ones that is passed."""

    def advance(priority: float, above: int, levels: Levels) -> float:
        better, distinct = levels.rank(priority)
        return above * (distinct - better) // distinct * multiplier

    return advance


def by_size(multiplier: float, largest: float, unprivileged: float = 0.3) -> Advance:
    """The more negative the priority, down to -``largest``, the larger the share of the overtakable ones."""

    def advance(priority: float, above: int, levels: Levels) -> float:
        advantage = min(1.0, -priority / largest) if priority < 0 else unprivileged
        return above * advantage * multiplier

    return advance


class PartialQueue:
    """One line. A newcomer moves forward by positions from the tail, so it may also pass equals that wait there.

    It passes at most ``max_positions``, at most as many as have a larger number, and nobody of an earlier era; it is
    not moved again. Costs O(distinct priorities + max_positions) an insertion and O(1) a departure.
    """

    def __init__(self, advance: Advance, max_positions: int):
        if max_positions < 0:
            raise ValueError(f"max_positions must not be negative, not {max_positions}")
        self._advance, self._max_positions = advance, max_positions
        self._line: deque[tuple[int, float, Request]] = deque()
        self._levels, self._era = Levels(), 0

    def insert(self, request: Request, priority: float, era: int = 0) -> None:
        if era != self._era:
            self._levels, self._era = Levels(), era
        above = self._levels.above(priority)
        forward = int(min(self._advance(priority, above, self._levels), self._max_positions, above))
        self._line.insert(len(self._line) - forward, (era, priority, request))
        self._levels.add(priority)

    def put_back(self, request: Request) -> None:
        """A pre-empted request waits in front, where nobody passes it."""
        self._line.appendleft((PREEMPTED, 0.0, request))

    def head(self) -> Request | None:
        return self._line[0][2] if self._line else None

    def pop(self) -> None:
        self._left(*self._line.popleft())

    def remove(self, request: Request) -> None:
        """The request leaves its place."""
        place = next(place for place, (_, _, waiting) in enumerate(self._line) if waiting is request)
        left = self._line[place]
        del self._line[place]
        self._left(*left)

    def _left(self, era: int, priority: float, request: Request) -> None:
        if era == self._era:
            self._levels.remove(priority)

    def __len__(self) -> int:
        return len(self._line)
