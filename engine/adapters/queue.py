"""Who waits or runs on a server, in one order that never changes, and by adapter."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence

from engine.request import Request

Place = tuple[float, ...]
BASE = ""
"""Stands for the base model alone, which requests without an adapter want."""


def adapter_of(request: Request) -> str:
    """The adapter of a request, or ``BASE``."""
    return request.adapter or BASE


class Queue:
    """Requests from their arrival at a server to their end there, whether they wait, run or were pre-empted (dLoRA's
    waiting, ready and swapped).

    ``place`` puts them in order (Ordering.fixed_place). ``version`` changes whenever one comes or goes.
    """

    def __init__(self, place: Callable[[Request], Place]):
        self._place = place
        self._all: list[tuple[Place, Request]] = []
        self._of: dict[str, list[tuple[Place, Request]]] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, request: Request) -> None:
        """``request`` has come."""
        entry = (self._place(request), request)
        insort(self._all, entry, key=_place)
        insort(self._of.setdefault(adapter_of(request), []), entry, key=_place)
        self.version += 1

    def remove(self, request: Request) -> None:
        """``request`` is done here."""
        place, name = self._place(request), adapter_of(request)
        _delete(self._all, place)
        _delete(self._of[name], place)
        if not self._of[name]:
            del self._of[name]
        self.version += 1

    def first(self, n: int) -> list[Request]:
        """The first ``n`` of all."""
        return [request for _, request in self._all[:n]]

    def of(self, adapter: str, n: int | None = None) -> list[Request]:
        """The first ``n`` of an adapter, or all."""
        return [request for _, request in self._of.get(adapter, ())[:n]]

    def count(self, adapter: str) -> int:
        """Requests of an adapter."""
        return len(self._of.get(adapter, ()))

    @property
    def adapters(self) -> Sequence[str]:
        """Those that anybody here wants."""
        return tuple(self._of)

    def counts(self) -> dict[str, int]:
        """Requests of each adapter that has any."""
        return {name: len(entries) for name, entries in self._of.items()}

    def most(self, adapters: Sequence[str]) -> str | None:
        """Of these adapters the one with most requests; of several, whose first request stands first."""
        there = [name for name in adapters if name in self._of]
        if not there:
            return None
        largest = max(len(self._of[name]) for name in there)
        return min((name for name in there if len(self._of[name]) == largest), key=lambda name: self._of[name][0][0])


def _place(entry: tuple[Place, Request]) -> Place:
    return entry[0]


def _delete(entries: list[tuple[Place, Request]], place: Place) -> None:
    del entries[bisect_left(entries, place, key=_place)]
