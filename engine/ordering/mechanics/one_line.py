"""One line in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from engine.horizon import ENDLESS, Horizon
from engine.ordering.base import Ordering
from engine.request import Request


class OneLine(Ordering):
    """Serves in order of arrival."""

    def __init__(self) -> None:
        self._line: deque[Request] = deque()

    def enqueue(self, request: Request) -> None:
        self._line.append(request)

    def requeue(self, request: Request) -> None:
        self._line.appendleft(request)

    def next(self, now: float) -> Request | None:
        return self._line[0] if self._line else None

    def on_admit(self, request: Request, now: float) -> None:
        self._line.remove(request)

    def withdraw(self, request: Request, now: float) -> None:
        self._line.remove(request)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        return ENDLESS

    def __len__(self) -> int:
        return len(self._line)
