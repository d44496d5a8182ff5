"""What is remembered of clients that may come back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Kept = TypeVar("Kept")
DAY_S = 86_400.0


class Recent(Generic[Kept]):
    """Something for each client, kept until ``keep_s`` after it was last touched. Everything costs O(1) a client."""

    def __init__(self, make: Callable[[], Kept], keep_s: float):
        if not keep_s > 0:
            raise ValueError(f"keep_s must be above 0, not {keep_s:g}")
        self._make, self._keep_s = make, keep_s
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def touch(self, client: str, now: float) -> Kept:
        """What is kept of a client, made if need be, and from now on for ``keep_s`` more."""
        found = self._kept.get(client)
        kept = found[1] if found else self._make()
        self.put(client, kept, now)
        return kept

    def put(self, client: str, kept: Kept, now: float) -> None:
        """Keep this of a client instead, from now on for ``keep_s`` more."""
        self._kept[client] = now, kept
        self._kept.move_to_end(client)

    def get(self, client: str) -> Kept | None:
        """What is kept of a client, untouched."""
        found = self._kept.get(client)
        return found[1] if found else None

    def forget(self, now: float) -> list[Kept]:
        """Drop what was not touched for ``keep_s``, and return it, the longest untouched first."""
        gone: list[Kept] = []
        while self._kept and now - next(iter(self._kept.values()))[0] > self._keep_s:
            gone.append(self._kept.popitem(last=False)[1][1])
        return gone

    def items(self) -> Iterator[tuple[str, Kept]]:
        return ((client, kept) for client, (_, kept) in self._kept.items())

    def __len__(self) -> int:
        return len(self._kept)
