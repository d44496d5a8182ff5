"""Arrivals within the last minute."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0


class LastMinute:
    """Times of what happened within ``WINDOW_S``; those of a key that nothing happened to for so long are forgotten."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._order: deque[tuple[float, str]] = deque()

    def count(self, key: str, now: float) -> int:
        """How often it happened in (now - WINDOW_S, now]."""
        self._forget(now)
        return len(self._times.get(key, ()))

    def add(self, key: str, now: float) -> None:
        self._times.setdefault(key, deque()).append(now)
        self._order.append((now, key))

    def _forget(self, now: float) -> None:
        while self._order and self._order[0][0] <= now - WINDOW_S:
            _, key = self._order.popleft()
            times = self._times[key]
            times.popleft()
            if not times:
                del self._times[key]
