"""Who has the least counter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush, heapreplace

Entry = tuple[float, int, str]


class Least:
    """Members by their counters, of which each may be raised at any time; ``refresh`` tells of one that was lowered.

    A heap entry is a lower bound: the top is refreshed until it tells the truth, which costs O(log members) for each
    member that was charged past another. A member that ``stays`` is not true of leaves when it comes to the top.
    """

    def __init__(self, counters: Mapping[str, float], stays: Callable[[str], object]):
        self._counters, self._stays = counters, stays
        self._heap: list[Entry] = []
        self._entries: dict[str, Entry] = {}

    def add(self, member: str, place: int) -> None:
        """Of members with equal counters the one with the lower ``place`` comes first."""
        if member not in self._entries:
            self._push(self._counters[member], place, member)

    def discard(self, member: str) -> None:
        self._entries.pop(member, None)

    def refresh(self, member: str) -> None:
        """The member's counter was lowered."""
        entry = self._entries.get(member)
        if entry is not None:
            self._push(self._counters[member], entry[1], member)

    def first(self) -> str | None:
        """The member with the least counter."""
        heap, entries = self._heap, self._entries
        while heap:
            entry = heap[0]
            value, place, member = entry
            if entries.get(member) is not entry:
                heappop(heap)
            elif value != (counter := self._counters[member]):
                entries[member] = entry = (counter, place, member)
                heapreplace(heap, entry)
            elif self._stays(member):
                return member
            else:
                heappop(heap)
                del entries[member]
        return None

    def second(self) -> str | None:
        """The member with the least counter but one."""
        if self.first() is None:
            return None
        entry = heappop(self._heap)
        second = self.first()
        heappush(self._heap, entry)
        return second

    def _push(self, value: float, place: int, member: str) -> None:
        self._entries[member] = (value, place, member)
        heappush(self._heap, self._entries[member])
