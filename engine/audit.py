"""Policies from outside the package are watched while they run: what they answer is held against their contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.contract import ContractError, check_hooks, is_foreign, named
from engine.ordering.base import Ordering
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.request import Request
from engine.speculation.base import Speculation


def watched_ordering(ordering: Ordering) -> Ordering:
    """The ordering, watched if it is none of the package's own. ContractError when a hook cannot be called."""
    if not is_foreign(ordering):
        return ordering
    check_hooks(ordering, Ordering)
    return WatchedOrdering(ordering)


def watched_speculation(speculation: Speculation | None) -> Speculation | None:
    """The speculation, watched if it is none of the package's own. ContractError when a hook cannot be called."""
    if speculation is None or not is_foreign(speculation):
        return speculation
    check_hooks(speculation, Speculation)
    return WatchedSpeculation(speculation)


class WatchedOrdering(Ordering):
    """Raises ContractError when the inner policy names a request that does not wait, another one when it is asked again, or
    does not know how many wait."""

    def __init__(self, inner: Ordering):
        self.inner, self.by_request = inner, inner.by_request
        self._waiting: set[int] = set()

    @property
    def needs(self) -> tuple[str, ...]:
        return self.inner.needs

    def on_arrival(self, request: Request, now: float) -> str | None:
        reason = self.inner.on_arrival(request, now)
        if reason is not None and not isinstance(reason, str):
            raise ContractError(self.inner, "on_arrival", f"answered {reason!r}, which is neither None nor a sentence,")
        if reason is None:
            self._waiting.add(request.id)
        self._count("on_arrival")
        return reason

    def enqueue(self, request: Request) -> None:
        self.inner.enqueue(request)
        self._waiting.add(request.id)

    def requeue(self, request: Request) -> None:
        self.inner.requeue(request)
        self._waiting.add(request.id)
        self._count("requeue")

    def next(self, now: float) -> Request | None:
        request, again = self.inner.next(now), self.inner.next(now)
        if request is not again:
            raise ContractError(self.inner, "next", f"named {named(request)} and, asked again, {named(again)},")
        if request is not None and getattr(request, "id", None) not in self._waiting:
            raise ContractError(self.inner, "next", f"named {named(request)}, which does not wait,")
        return request

    def on_admit(self, request: Request, now: float) -> None:
        self.inner.on_admit(request, now)
        self._waiting.discard(request.id)
        self._count("on_admit")

    def withdraw(self, request: Request, now: float) -> None:
        self.inner.withdraw(request, now)
        self._waiting.discard(request.id)
        self._count("withdraw")

    def take_dropped(self) -> Sequence[tuple[Request, str]]:
        dropped = self.inner.take_dropped()
        for request, _ in dropped:
            if request.id not in self._waiting:
                raise ContractError(self.inner, "take_dropped", f"gave up {named(request)}, which does not wait,")
            self._waiting.discard(request.id)
        self._count("take_dropped", exactly=True)
        return dropped

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        return self.inner.victim(running, waiting, now)

    def on_pool(self, tokens: int) -> None:
        self.inner.on_pool(tokens)

    def on_refused(self, request: Request) -> None:
        self.inner.on_refused(request)

    def on_pass(self, now: float) -> None:
        self.inner.on_pass(now)

    def on_blocked(self, request: Request, now: float) -> None:
        self.inner.on_blocked(request, now)

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        self.inner.on_tokens(by_client, first, finished)

    def on_request_tokens(self, produced: Iterable[tuple[Request, int, int]], first: bool, finished: int) -> None:
        self.inner.on_request_tokens(produced, first, finished)

    def on_finish(self, request: Request, now: float) -> None:
        self.inner.on_finish(request, now)

    def __len__(self) -> int:
        return len(self.inner)

    def _count(self, hook: str, exactly: bool = False) -> None:
        """Between two calls of ``take_dropped`` what the policy dropped is no longer in its count."""
        told, true = len(self.inner), len(self._waiting)
        if told > true or (exactly and told != true):
            raise ContractError(self.inner, "__len__", f"counts {told} waiting requests where {true} wait after {hook},")


class WatchedSpeculation(Speculation):
    """Raises ContractError when the inner policy selects nodes that are none, hang on nothing, or exceed its own budget."""

    def __init__(self, inner: Speculation):
        self.inner = inner
        self._shape: DraftShape | None = None

    def shape(self, progress: Progress) -> DraftShape | None:
        self._shape = self.inner.shape(progress)
        return self._shape

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        trees, n = self.inner.select(candidates, progress), len(progress)
        if getattr(trees, "selected", candidates.parent).shape != candidates.probability.shape:
            raise ContractError(self.inner, "select", "answered no selection over the candidates,")
        try:
            trees.check()
        except AssertionError as error:
            raise ContractError(self.inner, "select", f"selected an orphan: {error},") from None
        if (trees.selected & (candidates.probability <= 0)).any():
            raise ContractError(self.inner, "select", "selected an empty place of the candidates,")
        if self._shape and (nodes := n + int(trees.selected.sum())) > max(self._shape.max_tokens, n):
            most = self._shape.max_tokens
            raise ContractError(self.inner, "select", f"selected {nodes} tokens where its shape allows {most},")
        return trees
