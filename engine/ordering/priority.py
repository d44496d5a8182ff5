"""Fixed priorities, as in vLLM's scheduling by priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.ordering.mechanics.giving_way import least_urgent
from engine.ordering.mechanics.ranked import Ranked
from engine.ordering.mechanics.weights import numbers
from engine.request import Request


class Priority(Ranked):
    """The smallest level goes first, in order of arrival within a level.

    ``levels`` gives that of each client or category (``by``), as in {"chat": 0} or "chat:0;coding:1"; others have
    ``default``. A request that finds no seat or no room takes it from a running one of a larger level, the newest of the
    largest; a pre-empted request waits at the head of its level.
    """

    def __init__(self, levels: Mapping[str, float] | str | None = None, by: str = "client", default: float = 0.0):
        super().__init__()
        if by not in ("client", "category"):
            raise ValueError(f"by is client or category, not {by}")
        self.levels, self.by, self.default = numbers(levels), by, default

    def rank(self, request: Request) -> float:
        name = request.client if self.by == "client" else request.category
        return self.default if name is None else self.levels.get(name, self.default)

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        return least_urgent(running, waiting, self.rank)

    def requeue(self, request: Request) -> None:
        self.place(request, self.rank(request), first=True)
