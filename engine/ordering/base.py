"""The contract of an ordering policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from engine.request import Request


class Ordering(ABC):
    """Holds the waiting requests and says which of them goes next.

    Batching asks ``next`` until it cannot fit the answer, and calls ``on_admit`` for each one it takes. A policy differs
    from another in ``next`` and in how it charges; it neither knows the KV cache nor reads a clock.
    """

    def on_arrival(self, request: Request, now: float) -> str | None:
        """Queue a new request. A returned sentence rejects it for that reason instead."""
        self.enqueue(request)
        return None

    @abstractmethod
    def enqueue(self, request: Request) -> None:
        """Put a request at the end of its line."""

    @abstractmethod
    def requeue(self, request: Request) -> None:
        """Put a pre-empted request back at the head of its line. What it was charged stays charged."""

    @abstractmethod
    def next(self, now: float) -> Request | None:
        """The request to serve next, left in place, or None when nobody waits. Asked again, answers the same."""

    @abstractmethod
    def on_admit(self, request: Request, now: float) -> None:
        """Take the request that ``next`` returned out of the queue and charge its prompt, once in its life."""

    @abstractmethod
    def __len__(self) -> int:
        """Waiting requests."""

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        """Output tokens were produced: a count for each client.

        ``first``: they are first tokens, which the prefill produced. ``finished``: requests that ended with this step.
        """
