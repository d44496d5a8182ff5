"""The contract of an ordering policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from engine.horizon import ONE_STEP, Horizon
from engine.request import Request


class Ordering(ABC):
    """Holds the waiting requests and says which of them goes next.

    Batching asks ``next`` until it cannot fit the answer, and calls ``on_admit`` for each one it takes and ``on_blocked``
    for the one that did not fit. A policy differs from another in ``next`` and in how it charges; it neither knows the
    KV cache nor reads a clock. ``by_request``: it is told of the output tokens of each request instead of each client.
    """

    by_request: bool = False

    def on_arrival(self, request: Request, now: float) -> str | None:
        """Queue a new request. A returned sentence rejects it for that reason instead."""
        self.enqueue(request)
        return None

    def on_refused(self, request: Request) -> None:
        """The engine turned a request away at its arrival: it can never be served, as when its prompt exceeds the KV pool."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of a timetable without which the policy could not serve a request."""
        return ()

    @abstractmethod
    def enqueue(self, request: Request) -> None:
        """Put a request at the end of its line."""

    @abstractmethod
    def requeue(self, request: Request) -> None:
        """Put a pre-empted request back, at the head of its line where the policy has lines. What it was charged stays
        charged."""

    @abstractmethod
    def next(self, now: float) -> Request | None:
        """The request to serve next, left in place, or None when nobody waits. Asked again, answers the same."""

    @abstractmethod
    def on_admit(self, request: Request, now: float) -> None:
        """Take the request that ``next`` returned out of the queue and charge its prompt, once in its life."""

    @abstractmethod
    def withdraw(self, request: Request, now: float) -> None:
        """Take a waiting request out of its line, wherever it stands: its client gave up. ``on_finish`` does not follow."""

    @abstractmethod
    def __len__(self) -> int:
        """Waiting requests."""

    def fixed_place(self, request: Request) -> tuple[float, ...] | None:
        """Where the request stands among all that wait or run, the smallest first, if that never changes; None where it does.

        Batching may then admit others than ``next`` names.
        """
        return None

    def on_pool(self, tokens: int) -> None:
        """The KV pool holds so many tokens. Told once, before anything arrives."""

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        """Which of ``running``, in order of admission, gives its KV blocks back and is computed again later.

        Without ``waiting`` blocks have run out and one has to. ``waiting``, which ``next`` returned, found no seat or no
        room: None lets it wait.
        """
        return None if waiting else running[-1]

    def on_pass(self, now: float) -> None:
        """Batching begins to ask who goes next."""

    def on_blocked(self, request: Request, now: float) -> None:
        """The request that ``next`` returned does not fit: the server is full. It ends the pass."""

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        """Output tokens were produced: a count for each client.

        ``first``: they are first tokens, which the prefill produced. ``finished``: requests that ended with this step.
        """

    def on_request_tokens(self, produced: Iterable[tuple[Request, int, int]], first: bool, finished: int) -> None:
        """Output tokens were produced: request, tokens that it had before, tokens that came. Asked for by ``by_request``."""

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        """How many steps, the one just planned included, each bringing such counts of output tokens, leave the policy's
        answers as they are if nobody arrives or leaves: ``next`` and ``victim`` would say the same, and of the passes in them
        all but the last can be left out.

        One step, unless the policy knows better; asked only of policies that come with the kit.
        """
        return ONE_STEP

    def on_equal_tokens(self, by_client: Mapping[str, int], steps: int) -> None:
        """``on_tokens``, once for each of ``steps`` steps after the first tokens in which nobody ended."""
        if type(self).on_tokens is not Ordering.on_tokens:
            for _ in range(steps):
                self.on_tokens(by_client, False, 0)

    def on_finish(self, request: Request, now: float) -> None:
        """An admitted request came to its end, whatever its status."""

    def take_dropped(self) -> Sequence[tuple[Request, str]]:
        """Waiting requests that the policy gave up since it was last asked, each with the reason."""
        return ()
