"""Which replicas have which adapters: initial placement and refill (dLoRA's artifact)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf


class Hosting:
    """Adapters by replica, with room for more, and how popular each adapter is."""

    def __init__(self, adapters: Sequence[str], replicas: int, room: int):
        self.of: list[dict[str, None]] = [{} for _ in range(replicas)]
        self._room = [room] * replicas
        self.popularity = dict.fromkeys(adapters, 1 / max(len(adapters), 1))

    def hosts(self, adapter: str) -> list[int]:
        """The replicas that have an adapter."""
        return [number for number, adapters in enumerate(self.of) if adapter in adapters]

    def add(self, adapter: str, replica: int) -> None:
        """One adapter more on a replica."""
        if adapter not in self.of[replica]:
            self.of[replica][adapter] = None
            self._room[replica] -= 1

    def drop(self, adapter: str, replica: int) -> None:
        """One less."""
        del self.of[replica][adapter]
        self._room[replica] += 1

    def copies(self) -> int:
        """Adapters over all replicas, each as often as it is there."""
        return sum(map(len, self.of))

    def fill(self) -> None:
        """Give adapters further replicas as long as the burst tolerance does not fall."""
        while self._fill_one():
            pass

    def _fill_one(self) -> bool:
        """The adapter that is furthest below its popularity, those without a replica first, on the replica with fewest
        adapters that keeps the tolerance."""
        before, whole = self.tolerance(), max(self.copies(), 1)
        placed = {name: 0 for name in self.popularity} | Counter(name for adapters in self.of for name in adapters)
        for adapter in sorted(placed, key=lambda name: (placed[name] > 0, placed[name] / whole - self.popularity[name])):
            for replica in sorted(range(len(self.of)), key=lambda number: len(self.of[number])):
                if adapter in self.of[replica] or self._room[replica] < 1:
                    continue
                self.add(adapter, replica)
                if self.tolerance() >= before:
                    return True
                self.drop(adapter, replica)
            if placed[adapter]:
                return False
        return False

    def tolerance(self) -> float:
        """How large a burst the worst-off adapter can take: room on its replicas over its popularity, the least of all."""
        free = dict.fromkeys(self.popularity, 0)
        for adapters, room in zip(self.of, self._room, strict=True):
            for name in adapters:
                free[name] += room
        return min((free[name] / popularity for name, popularity in self.popularity.items()), default=inf)

    def spread(self, adapters: Sequence[str]) -> None:
        """Put each of these, in turn, on a replica that lacks it, until there are replicas + adapters - 1 in all."""
        wanted, turn = len(self.of) + len(self.popularity) - 1, 0
        while adapters and self.copies() < wanted and turn < len(adapters) * len(self.of):
            adapter = adapters[turn % len(adapters)]
            lacking = [number for number, there in enumerate(self.of) if adapter not in there]
            if lacking:
                self.add(adapter, min(lacking, key=lambda number: len(self.of[number])))
            turn += 1
