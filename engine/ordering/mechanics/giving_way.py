"""Which running request gives way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.request import Request

Rank = Callable[[Request], float]


def newest_of_last(running: Sequence[Request], rank: Rank) -> Request:
    """Of the requests with the largest rank the one that was admitted last; ``running`` is in order of admission."""
    return running[max(range(len(running)), key=lambda place: (rank(running[place]), place))]


def least_urgent(running: Sequence[Request], waiting: Request | None, rank: Rank) -> Request | None:
    """``newest_of_last``; for a ``waiting`` request only if that one's rank is larger than its own."""
    last = newest_of_last(running, rank)
    return None if waiting is not None and rank(last) <= rank(waiting) else last
