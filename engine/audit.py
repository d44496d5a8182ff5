"""Policies that do not come with the kit are watched while they run: what they do is held against their contract."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from types import FrameType, MappingProxyType
from typing import Any

import numpy as np

from engine.contract import ContractError, check_hooks, is_foreign, named
from engine.ordering.base import Ordering
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.request import Request
from engine.speculation.base import Speculation

LATE_S = 30.0
FACTS = tuple(field.name for field in fields(Request) if field.name != "rows")
facts_of = attrgetter(*FACTS)


def watched_ordering(ordering: Ordering, always: bool = False) -> Ordering:
    """The ordering, watched if it does not come with the kit, or ``always``. ContractError when a hook cannot be called."""
    if isinstance(ordering, WatchedOrdering) or not (always or is_foreign(ordering)):
        return ordering
    check_hooks(ordering, Ordering)
    return WatchedOrdering(ordering)


def watched_speculation(speculation: Speculation | None, always: bool = False) -> Speculation | None:
    """The speculation, watched as an ordering is."""
    if speculation is None or isinstance(speculation, WatchedSpeculation) or not (always or is_foreign(speculation)):
        return speculation
    check_hooks(speculation, Speculation)
    return WatchedSpeculation(speculation)


class _Watch:
    """Calls the hooks of ``inner``: ContractError for one that does not answer in time, or that changes a request.

    The time is that of the wall, and only told in a process's main thread.
    """

    inner: Any

    def _call(self, hook: str, *given: Any) -> Any:
        handed = [thing for thing in given if isinstance(thing, Request)]
        before = [facts_of(request) for request in handed]
        answer = self._in_time(hook, given)
        for request, facts in zip(handed, before, strict=True):
            self._unchanged(hook, request, facts)
        return answer

    def _in_time(self, hook: str, given: tuple[Any, ...]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return getattr(self.inner, hook)(*given)

        def late(number: int, frame: FrameType | None) -> None:
            raise ContractError(self.inner, hook, f"has not answered for {LATE_S:g} s")

        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, LATE_S)
        try:
            return getattr(self.inner, hook)(*given)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _unchanged(self, hook: str, request: Request, before: tuple[Any, ...]) -> None:
        for name, was, now in zip(FACTS, before, facts_of(request), strict=True):
            if was is not now and was != now:
                raise ContractError(self.inner, hook, f"changed {name} of {named(request)} from {was} to {now}")


class WatchedOrdering(_Watch, Ordering):
    """ContractError also when the inner policy names a request that does not wait, another one when it is asked again, or does
    not know how many wait."""

    def __init__(self, inner: Ordering):
        self.inner, self.by_request = inner, inner.by_request
        self._waiting: dict[int, tuple[Any, ...]] = {}
        self._missing, self._fault = 0, ""

    @property
    def needs(self) -> tuple[str, ...]:
        return self.inner.needs

    def on_arrival(self, request: Request, now: float) -> str | None:
        reason = self._call("on_arrival", request, now)
        if reason is not None and not (isinstance(reason, str) and reason):
            raise ContractError(self.inner, "on_arrival", f"answered {reason!r}, which is neither None nor a sentence,")
        if reason is None:
            self._waits(request)
        self._count("on_arrival")
        return reason

    def enqueue(self, request: Request) -> None:
        self._call("enqueue", request)
        self._waits(request)

    def requeue(self, request: Request) -> None:
        self._call("requeue", request)
        self._waits(request)
        self._count("requeue")

    def next(self, now: float) -> Request | None:
        request, again = self._call("next", now), self._call("next", now)
        if request is not again:
            raise ContractError(self.inner, "next", f"named {named(request)} and, asked again, {named(again)},")
        if request is not None:
            if not isinstance(request, Request) or request.id not in self._waiting:
                raise ContractError(self.inner, "next", f"named {named(request)}, which does not wait,")
            self._unchanged("next", request, self._waiting[request.id])
        return request

    def on_admit(self, request: Request, now: float) -> None:
        self._call("on_admit", request, now)
        del self._waiting[request.id]
        self._count("on_admit")

    def withdraw(self, request: Request, now: float) -> None:
        self._call("withdraw", request, now)
        del self._waiting[request.id]
        self._missing = max(self._missing - 1, 0)
        self._count("withdraw")

    def take_dropped(self) -> Sequence[tuple[Request, str]]:
        dropped = self._call("take_dropped")
        for pair in _pairs(dropped):
            if pair is None:
                what = f"answered {dropped!r:.100}, which are no requests with reasons,"
                raise ContractError(self.inner, "take_dropped", what)
            if pair[0].id not in self._waiting:
                raise ContractError(self.inner, "take_dropped", f"gave up {named(pair[0])}, which does not wait,")
            del self._waiting[pair[0].id]
        if self._missing > len(dropped):
            raise ContractError(self.inner, "__len__", self._fault)
        self._missing = 0
        self._count("take_dropped", exactly=True)
        return dropped

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        return self._call("victim", tuple(running), waiting, now)

    def fixed_place(self, request: Request) -> tuple[float, ...] | None:
        return self._call("fixed_place", request)

    def on_pool(self, tokens: int) -> None:
        self._call("on_pool", tokens)

    def on_refused(self, request: Request) -> None:
        self._call("on_refused", request)

    def on_pass(self, now: float) -> None:
        self._call("on_pass", now)

    def on_blocked(self, request: Request, now: float) -> None:
        self._call("on_blocked", request, now)

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        self._call("on_tokens", MappingProxyType(by_client), first, finished)

    def on_request_tokens(self, produced: Iterable[tuple[Request, int, int]], first: bool, finished: int) -> None:
        self._call("on_request_tokens", produced, first, finished)

    def on_finish(self, request: Request, now: float) -> None:
        self._call("on_finish", request, now)

    def __len__(self) -> int:
        try:
            return len(self.inner)
        except (TypeError, ValueError) as error:
            raise ContractError(self.inner, "__len__", f"counts no requests ({error})") from None

    def _waits(self, request: Request) -> None:
        self._waiting[request.id] = facts_of(request)

    def _count(self, hook: str, exactly: bool = False) -> None:
        """Between two calls of ``take_dropped`` no more may be missing from the count than the next one drops, or than were
        withdrawn."""
        told, true = len(self), len(self._waiting)
        if told == true:
            return
        fault = f"counts {told} waiting requests where {true} wait after {hook},"
        if told > true or exactly:
            raise ContractError(self.inner, "__len__", fault)
        if true - told > self._missing:
            self._missing, self._fault = true - told, fault


class WatchedSpeculation(_Watch, Speculation):
    """ContractError also when the inner policy answers with no shape, or selects nodes that are none, hang on nothing, or
    exceed its own budget."""

    def __init__(self, inner: Speculation):
        self.inner, self.most_draft_tokens = inner, inner.most_draft_tokens
        self._shape: DraftShape | None = None

    def shape(self, progress: Progress) -> DraftShape | None:
        self._shape = shape = self._call("shape", _sealed(progress))
        if shape is not None:
            sizes = [shape.depth, shape.width, shape.max_tokens] if isinstance(shape, DraftShape) else [None]
            if not all(isinstance(size, int | np.integer) for size in sizes):
                raise ContractError(self.inner, "shape", f"answered {shape!r:.100}, which is no shape of a draft,")
            if (nodes := shape.depth * shape.width) > self.most_draft_tokens:
                what = f"drafts {nodes} tokens a request where its most_draft_tokens is {self.most_draft_tokens},"
                raise ContractError(self.inner, "shape", what)
        return shape

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        trees, n = self._call("select", candidates, _sealed(progress)), len(progress)
        if not isinstance(trees, TokenTrees) or trees.selected.shape != candidates.probability.shape:
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


def _pairs(dropped: object) -> list[tuple[Request, str] | None]:
    """What ``take_dropped`` answered; None for what is no request with a reason."""
    if not isinstance(dropped, list | tuple):
        return [None]
    return [pair if _is_pair(pair) else None for pair in dropped]


def _is_pair(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Request) and isinstance(pair[1], str)


def _sealed(progress: Progress) -> Progress:
    """The same, whose arrays cannot be written to."""
    names = (field.name for field in fields(Progress) if field.name != "requests")
    sealed = {name: getattr(progress, name).view() for name in names}
    for array in sealed.values():
        array.flags.writeable = False
    return replace(progress, requests=tuple(progress.requests), **sealed)
