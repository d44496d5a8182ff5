"""Several replicas, an engine each, behind one dispatcher, on one clock of their own each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, isfinite

from engine.adapters.queue import adapter_of
from engine.contract import check_hooks, is_foreign
from engine.core import Engine, Observer
from engine.placement import Placement
from engine.placement.base import Move
from engine.request import FAILED, Request

MakeEngine = Callable[[int, Sequence[str], Observer], Engine]
"""The engine of a replica: its number, the adapters that it has from the start, and who hears of it."""


class Replica:
    """One engine as the placement sees it (engine.placement.base.Seen), and the observer of that engine.

    A step that is under way when somebody looks counts as done: its outcome is known, and nobody can stop it.
    """

    def __init__(self, number: int, observer: Observer, on_done: Callable[[Request], None]):
        self.number = number
        self.engine: Engine
        self._observer, self._on_done = observer, on_done
        self._here: dict[int, Request] = {}
        self._counts: Counter[str] = Counter()
        self._looked_s = 0.0

    def look_at(self, now: float) -> None:
        """What is asked from here on is asked at ``now``."""
        self._looked_s = now

    def advance(self) -> None:
        """Serve until the time of the last look."""
        if self.engine.clock.now < self._looked_s:
            self.engine.run(until_s=self._looked_s)

    @property
    def counts(self) -> Mapping[str, int]:
        self.advance()
        return self._counts

    @property
    def capacity(self) -> int:
        return self.engine.running.pool.capacity

    def requests(self) -> Sequence[Request]:
        self.advance()
        return list(self._here.values())

    def blocks(self, request: Request) -> int:
        return self.engine.running.pool.blocks(request.prefill_tokens)

    def take(self, request: Request) -> None:
        """From now on the request is served here."""
        self.advance()
        request.replica = self.number
        self._here[request.id] = request
        self._counts[adapter_of(request)] += 1
        self.engine.submit(request)

    def take_moved(self, request: Request, kept: int, now: float) -> None:
        """The same of one that comes from another replica, not before ``now``."""
        self.advance()
        self.engine.take_over(request, kept, now)
        self.take(request)

    def give_up(self, request: Request, keeps: bool) -> int:
        """It is served here no longer. Returns the tokens whose keys and values it takes along."""
        self._forget(request)
        return self.engine.hand_over(request, keeps)

    def request_done(self, request: Request) -> None:
        self._forget(request)
        self._on_done(request)
        self._observer.request_done(request)

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        self._observer.step_done(start_s, end_s, prompt, output, steps, adapter)

    def _forget(self, request: Request) -> None:
        del self._here[request.id]
        self._counts[adapter_of(request)] -= 1
        if not self._counts[adapter_of(request)]:
            del self._counts[adapter_of(request)]


class Fleet:
    """Dispatches requests to replicas as they come, moves them as the placement says, and from replicas that fail.

    ``observers`` hear of the steps and the ends of each replica. What a replica that fails was serving is sent to the others,
    with its answer so far and without its keys and values. Replicas serve ahead of one another
    until somebody looks at them, which changes nothing of what they do.
    """

    def __init__(
        self, placement: Placement, adapters: Sequence[str], room: int, make_engine: MakeEngine,
        observers: Sequence[Observer],
    ):
        if is_foreign(placement):
            check_hooks(placement, Placement)
        self.placement = placement
        self.replicas = [Replica(number, observer, placement.on_done) for number, observer in enumerate(observers)]
        for replica, hosted in zip(self.replicas, placement.begin(adapters, room), strict=True):
            replica.engine = make_engine(replica.number, hosted, replica)
        self._alive = list(self.replicas)
        self._failures = sorted(placement.failures, reverse=True)
        self._next_s = placement.period_s
        self.redispatched = 0

    def run(self, requests: Iterable[Request], until_s: float = inf) -> None:
        """Serve ``requests``, sorted by arrival, to the end, or until ``until_s``."""
        for request in requests:
            if request.arrival_s >= until_s:
                break
            self._until(request.arrival_s)
            self._dispatch(request, request.arrival_s)
        while any(replica.engine.busy for replica in self._alive) and isfinite(event := min(self._event_s(), until_s)):
            self._look(event)
            for replica in self._alive:
                replica.advance()
            if event >= until_s:
                return
            self._until(event)
        for replica in self._alive:
            replica.engine.run(until_s=until_s)

    @property
    def engines(self) -> list[Engine]:
        """Of every replica, also of those that failed."""
        return [replica.engine for replica in self.replicas]

    @property
    def steps(self) -> int:
        """Of all replicas."""
        return sum(engine.steps for engine in self.engines)

    def facts(self) -> dict[str, float]:
        """What there is to tell of the run."""
        return {"replicas": len(self.replicas), "redispatched": self.redispatched, **self.placement.facts()}

    def check(self) -> None:
        """Raise AssertionError when an invariant of a replica that has not failed is broken."""
        for replica in self._alive:
            replica.engine.check()

    def _event_s(self) -> float:
        return min(self._next_s, self._failures[-1][0] if self._failures else inf)

    def _until(self, now: float) -> None:
        """What the clock brings until then: moves and failures."""
        while (event := self._event_s()) <= now:
            self._look(event)
            if self._failures and self._failures[-1][0] == event:
                self._fail(self.replicas[self._failures.pop()[1]], event)
            else:
                self._next_s += self.placement.period_s
                self._move(self.placement.rebalance(self._alive), event)

    def _look(self, now: float) -> None:
        for replica in self._alive:
            replica.look_at(now)

    def _dispatch(self, request: Request, now: float) -> None:
        if not self._alive:
            request.status, request.reason, request.finished_s = FAILED, "every replica has failed", now
            self.replicas[0]._observer.request_done(request)
            return
        self._look(now)
        self.replicas[self.placement.dispatch(request, self._alive)].take(request)

    def _move(self, moves: Iterable[Move], now: float) -> None:
        for move in moves:
            source, target = self.replicas[move.request.replica], self.replicas[move.target]
            kept = source.give_up(move.request, self.placement.transfers)
            target.take_moved(move.request, kept, max(now, source.engine.clock.now))

    def _fail(self, failed: Replica, now: float) -> None:
        if failed not in self._alive:
            return
        left = failed.requests()
        self._alive.remove(failed)
        for request in left:
            failed.give_up(request, keeps=False)
            self.redispatched += 1
            if self._alive:
                self._look(now)
                self.replicas[self.placement.dispatch(request, self._alive)].take_moved(request, 0, now)
            else:
                self._dispatch(request, now)
