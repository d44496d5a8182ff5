"""What is remembered of clients that may come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Kept = TypeVar("Kept")
DAY_S = 86_400.0


class Recent(Generic[Kept]):
    """Something for each client, kept until ``keep_s`` after it was last touched."""

    def __init__(self, make: Callable[[], Kept], keep_s: float):
        if not keep_s > 0:
            raise ValueError(f"keep_s must be above 0, not {keep_s:g}")
        self._make, self._keep_s = make, keep_s
        self._kept: dict[str, tuple[float, Kept]] = {}

    def touch(self, client: str, now: float) -> Kept:
        """What is kept of a client, made if need be, and from now on for ``keep_s`` more."""
        kept = self._kept.pop(client)[1] if client in self._kept else self._make()
        self._kept[client] = now, kept
        return kept

    def get(self, client: str) -> Kept | None:
        """What is kept of a client, untouched."""
        found = self._kept.get(client)
        return found[1] if found else None

    def forget(self, now: float) -> Iterator[Kept]:
        """Drop, one after another, what was not touched for ``keep_s``."""
        while self._kept:
            client = next(iter(self._kept))
            touched, kept = self._kept[client]
            if now - touched <= self._keep_s:
                return
            del self._kept[client]
            yield kept

    def items(self) -> Iterator[tuple[str, Kept]]:
        return ((client, kept) for client, (_, kept) in self._kept.items())

    def __len__(self) -> int:
        return len(self._kept)
