"""The engine: one loop over arrivals, ordering, batching, speculation and an executor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.adapters.base import Adapters
from engine.adapters.queue import Queue
from engine.arrivals import Arrivals
from engine.audit import watched_ordering, watched_speculation
from engine.batch import Batch
from engine.batching.base import Batching, Running
from engine.contract import ContractError, check_hooks, is_foreign, named
from engine.errors import InputError
from engine.executors.base import Executor
from engine.kv_cache import BlockPool
from engine.plan import StepPlan, StepResult
from engine.request import ABORTED, FAILED, FINISHED, REJECTED, RUNNING, WAITING, Request
from engine.roles import Policies
from engine.stretch import Stretch

MOST_IDLE_STEPS = 10_000


class Observer(Protocol):
    """Hears what happened. Nothing it does changes the run, except that it may abort requests that wait or run."""

    def request_done(self, request: Request) -> None:
        """A request finished, failed, was rejected or aborted."""

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        """A step, or each of ``steps`` one after another, computed so many prompt tokens and produced so many output tokens
        for each client.

        What is computed again after a pre-emption does not count again. ``adapter``: the one that was merged.
        """


class Engine:
    """Serves requests step by step with the policies of one system on one executor.

    Requests are submitted in order of arrival; a submitted request is heard of again exactly once, through the observer,
    unless the run is stopped before it ends. ContractError when a policy breaks its contract, also by never letting anything
    be served.
    With ``stretches`` decode steps between two events are taken together, and the observer hears of them together.
    ``steps`` counts the steps, ``busy_s`` the seconds from planning to the result of each.
    """

    def __init__(self, policies: Policies, executor: Executor, pool: BlockPool, observer: Observer, stretches: bool = False):
        self.ordering, self.batching = watched_ordering(policies.ordering), policies.batching
        self.speculation = watched_speculation(policies.speculation)
        swapped = self.batching.swap_tokens
        host = BlockPool(swapped, pool.block_size) if swapped else None
        self.running = Running(self.ordering, pool, executor, host, adapters=policies.adapters, queue=_queue(policies))
        self.executor, self.clock, self.observer = executor, executor.clock, observer
        if is_foreign(self.batching):
            check_hooks(self.batching, Batching)
        if policies.adapters is not None and is_foreign(policies.adapters):
            check_hooks(policies.adapters, Adapters)
        self.ordering.on_pool(pool.tokens)
        self.steps, self.busy_s = 0, 0.0
        self.live: dict[int, Request] = {}
        self._patience: list[tuple[float, int, Request]] = []
        self._idle_steps = 0
        self._arrivals = Arrivals(self.batching.socket, self.clock.now)
        self._ended: list[Request] = []
        if any(map(is_foreign, (self.ordering, self.batching))) or self.speculation is not None:
            stretches = False
        self._stretch = Stretch(self.running, self.batching, executor, self._arrivals, observer) if stretches else None

    def submit(self, request: Request) -> None:
        """Hand in a request for its ``arrival_s``, which must not lie before that of an earlier one."""
        self._arrivals.submit(request)
        self.clock.interrupt()

    def run(self, requests: Iterable[Request] = (), until_s: float = inf) -> None:
        """Serve ``requests`` (sorted by arrival, read as they are needed) and everything submitted, to the end.

        The clock at ``until_s`` stops it before; what runs or waits then stays in ``live``.
        """
        self._arrivals.feed(requests)
        while self.clock.now < until_s and (self.step(until_s) or self.idle(until_s)):
            pass
        if self.live and self.clock.now < until_s:
            self._blame_for_waiting()

    def abort(self, request: Request, reason: str) -> None:
        """End a request that waits or runs: its KV blocks come back, and the ordering and the observer hear of it."""
        waits, now = request.status == WAITING, self.clock.now
        if waits:
            self.running.forget(request)
        else:
            self.running.take_out(request)
        request.status, request.reason, request.finished_s = ABORTED, reason, now
        if waits:
            self.ordering.withdraw(request, now)
        else:
            self.ordering.on_finish(request, now)
        self._report(request)

    @property
    def busy(self) -> bool:
        """Whether a request that was submitted has not come to its end."""
        return bool(self.live) or self._arrivals.next_s(self.clock.now) < inf

    def hand_over(self, request: Request, keeps: bool = False) -> int:
        """Let a request go that another engine serves from now on: it waits, with its answer so far.

        Returns the tokens whose keys and values it takes along through host memory, where ``keeps`` asks for them.
        """
        if request.id not in self.live:
            self._arrivals.withdraw(request)
            return 0
        now, running = self.clock.now, self.running
        kept = running.let_go(request, keeps)
        if request.status == WAITING:
            self.ordering.withdraw(request, now)
        else:
            self.ordering.on_finish(request, now)
            request.status = WAITING
            request.preemptions += 1
        self._leave(request)
        return kept

    def take_over(self, request: Request, kept: int, now: float) -> None:
        """Make room in host memory for the keys and values of ``kept`` tokens of a request that is submitted next; without
        room they are computed again. Not before ``now``."""
        self.clock.wait_until(now)
        self.running.take_in(request, kept)

    def step(self, until_s: float = -inf) -> bool:
        """Plan, execute and commit one step, after those in one stretch with it that begin before ``until_s``. Returns False
        when there is nothing to run now."""
        start = self.clock.now
        for request in self._arrivals.seen(start):
            self._receive(request, start)
        if self._patience and self._patience[0][0] <= start:
            self._abort_impatient(start)
        running, batch = self.running, self.running.batch
        draft = self.speculation.shape(batch.progress(start)) if self.speculation and batch.requests else None
        plan = self.batching.plan(running, draft, start)
        if dropped := self.ordering.take_dropped():
            self._end_dropped(dropped)
        if plan is None:
            return bool(dropped)
        if not (plan.prefill or (plan.decode and batch.requests)):
            raise ContractError(self.batching, "plan", "planned a step without a token")
        if self._stretch and plan.decode and not dropped:
            if not self._take_stretch(self._stretch, plan, until_s):
                return True
            start = self.clock.now
        stepped = batch.only(plan.rows)
        if plan.draft:
            self._speculate(plan, stepped, start)
        result = self.executor.forward(plan, stepped)
        self.clock.advance(result.elapsed_s)
        end = self.clock.now
        self.steps += 1
        self._ended = []
        self.busy_s = batch.busy_s = self.busy_s + (end - start)
        self._commit(plan, stepped, result, start, end)
        self._arrivals.step_done(plan.waits, len(self._ended))
        return True

    def idle(self, until_s: float = inf) -> bool:
        """Sleep until something happens: the next arrival can be seen or a waiting client gives up, at most until
        ``until_s``. Returns False when nothing will."""
        while self._patience and self._patience[0][1] not in self.live:
            heappop(self._patience)
        wakes_s = min(self._arrivals.next_s(self.clock.now), self._patience[0][0] if self._patience else inf)
        if wakes_s == inf:
            return False
        self.clock.wait_until(min(wakes_s, until_s))
        self._arrivals.idled(self.clock.now)
        return True

    def check(self) -> None:
        """Raise AssertionError when an invariant of the engine is broken."""
        self.running.check()
        if self.running.host is not None:
            self.running.host.check(request.swapped for request in self.live.values())
        running = {id for id, request in self.live.items() if request.status == RUNNING}
        assert running == {request.id for request in self.running.admitted()}, "what runs is not what is live"

    def _take_stretch(self, stretch: Stretch, plan: StepPlan, until_s: float) -> bool:
        """Take the steps that are like the planned one. Returns whether one, planned too, is left to be taken by itself."""
        times, left = stretch.take(plan, min(until_s, self._patience[0][0]) if self._patience else until_s)
        if not times:
            return left
        self.steps += len(times) - 1
        self._idle_steps, busy_s = 0, self.busy_s
        for begin, end in pairwise(times):
            busy_s += end - begin
        self.busy_s = self.running.batch.busy_s = busy_s
        return left

    def _receive(self, request: Request, now: float) -> None:
        reason = self.executor.refuse(request) or self.batching.refuse(request, self.running.pool)
        if reason is not None:
            self.ordering.on_refused(request)
        else:
            reason = self.ordering.on_arrival(request, now)
        if reason is not None:
            request.status, request.reason = REJECTED, reason
            self.observer.request_done(request)
            return
        self.live[request.id] = request
        if self.running.queue is not None:
            self.running.queue.add(request)
        if request.patience_s is not None:
            heappush(self._patience, (request.arrival_s + request.patience_s, request.id, request))

    def _abort_impatient(self, now: float) -> None:
        while self._patience and self._patience[0][0] <= now:
            _, id, request = heappop(self._patience)
            if id in self.live:
                self.abort(request, f"its client gave up after {request.patience_s:g} s")

    def _report(self, request: Request) -> None:
        self._leave(request)
        self.observer.request_done(request)

    def _leave(self, request: Request) -> None:
        del self.live[request.id]
        if self.running.queue is not None:
            self.running.queue.remove(request)

    def _blame_for_waiting(self) -> None:
        """Nothing runs and nothing comes, yet requests are left: a policy holds them back."""
        first = next(iter(self.live.values()))
        left = f"{len(self.live)} requests, the first {named(first)},"
        if self.running.sequences():
            raise ContractError(self.batching, "plan", f"plans no step although {left} are left, and some of them run,")
        if self.ordering.next(self.clock.now) is None:
            raise ContractError(self.ordering, "next", f"names nobody although {left} wait and nothing runs,")
        raise ContractError(self.batching, "plan", f"admits nobody although {left} wait and nothing runs,")

    def _end_dropped(self, dropped: Iterable[tuple[Request, str]]) -> None:
        """The ordering gave up these waiting requests."""
        for request, reason in dropped:
            if request.status != WAITING:
                raise ContractError(self.ordering, "take_dropped", f"gave up {named(request)}, which is {request.status},")
            self.running.forget(request)
            request.status, request.reason = ABORTED, reason
            self._report(request)

    def _speculate(self, plan: StepPlan, batch: Batch, now: float) -> None:
        assert self.speculation is not None and plan.draft is not None
        progress = batch.progress(now)
        rule = self.speculation.rule(progress, plan.draft)
        if not self.executor.draft_and_select(batch, plan.draft, rule):
            plan.trees = self.speculation.select(self.executor.draft(batch, plan.draft), progress)

    def _commit(self, plan: StepPlan, stepped: Batch, result: StepResult, start: float, end: float) -> None:
        output: Mapping[str, int] = {}
        if plan.decode:
            output = self._commit_decode(plan, stepped, result, end)
        prompt: dict[str, int] = {}
        if plan.prefill:
            prompt, first = self._commit_prefill(plan, result.ended or {}, start, end)
            output = _sum(output, first) if output else first
        self._idle_steps = 0 if output or prompt else self._idle_steps + 1
        if self._idle_steps > MOST_IDLE_STEPS:
            raise ContractError(self.batching, "plan", f"ran {self._idle_steps} steps in a row that brought nobody a token,")
        for request in self._ended:
            self._report(request)
        self.observer.step_done(start, end, prompt, output, 1, plan.adapter)

    def _commit_decode(self, plan: StepPlan, stepped: Batch, result: StepResult, end: float) -> Mapping[str, int]:
        batch, tokens = self.running.batch, result.accepted
        output: Mapping[str, int] = dict(stepped.by_client) if plan.prefill else stepped.by_client
        by_request = self.ordering.by_request
        produced = _produced(stepped, tokens) if by_request else ()
        if tokens is None and plan.rows is None:
            rows = batch.advance()
        else:
            if tokens is None:
                tokens = np.ones(len(stepped), np.int64)
            output = _by_client(stepped.requests, tokens.tolist())
            drafted = plan.trees.selected.sum(axis=(1, 2)) if plan.trees else np.zeros_like(tokens)
            rows = batch.advance_by(tokens, drafted, plan.rows)
        if result.ended:
            batch.end(np.flatnonzero([request.id in result.ended for request in batch.requests]))
            rows = np.flatnonzero(batch.left == 0)
        finished = 0 if rows is None else len(rows)
        if by_request:
            self.ordering.on_request_tokens(produced, False, finished)
        else:
            self.ordering.on_tokens(output, False, finished)
        if rows is not None and finished:
            output = dict(output)
            for request in batch.remove(rows):
                self._finish(request, end, result.ended.get(request.id) if result.ended else None)
        return output

    def _commit_prefill(
        self, plan: StepPlan, ends: Mapping[int, str | None], start: float, end: float
    ) -> tuple[dict[str, int], dict[str, int]]:
        prompt: dict[str, int] = {}
        first: dict[str, int] = {}
        produced: list[tuple[Request, int, int]] = []
        ended = []
        for chunk in plan.prefill:
            request = chunk.request
            request.prefilled += chunk.tokens
            request.computed_s += end - start
            fresh = min(request.prefilled, request.prompt_tokens) - request.prompt_served
            if fresh > 0:
                request.prompt_served += fresh
                prompt[request.client] = prompt.get(request.client, 0) + fresh
            if request.prefilled < request.prefill_tokens:
                continue
            self.running.prefilling.remove(request)
            failed = ends.get(request.id) is not None
            if not failed:
                first[request.client] = first.get(request.client, 0) + 1
                produced.append((request, request.produced, 1))
                request.produced += 1
                if request.first_token_s is None:
                    request.first_token_s = end
            if request.id in ends or request.produced == request.output_tokens:
                ended.append(request)
            else:
                self.running.batch.add(request)
        if self.ordering.by_request:
            self.ordering.on_request_tokens(produced, True, len(ended))
        elif first or ended:
            self.ordering.on_tokens(first, True, len(ended))
        for request in ended:
            self._finish(request, end, ends.get(request.id))
        return prompt, first

    def _finish(self, request: Request, end: float, failure: str | None) -> None:
        """``request`` ended in this step; the observer, who may abort others, hears of it once the step is committed."""
        self._ended.append(request)
        self.running.release(request)
        request.status, request.reason, request.finished_s = FAILED if failure else FINISHED, failure, end
        self.ordering.on_finish(request, end)


def _queue(policies: Policies) -> Queue | None:
    """What an adapters policy chooses from. InputError where the other policies leave it no choice."""
    if policies.adapters is None:
        return None
    ordering = policies.ordering
    if not policies.batching.asks_adapters:
        raise InputError(f"{type(policies.batching).__name__} lets no adapters policy choose who goes; write batch=orca.")
    if policies.speculation is not None:
        raise InputError("an adapters policy goes without speculation; leave spec= or adapters= out.")
    if ordering.fixed_place(Request(0, "", 1, 1, 0.0)) is None:
        raise InputError(f"the order of {type(ordering).__name__} changes as it serves, which no adapters policy can follow;"
                         " write order=fcfs.")
    return Queue(lambda request: ordering.fixed_place(request) or ())


def _produced(batch: Batch, accepted: NDArray[np.int64] | None) -> list[tuple[Request, int, int]]:
    """Request, output tokens before this decode, and tokens of it; copied, since the batch moves on."""
    tokens = [1] * len(batch) if accepted is None else accepted.tolist()
    return list(zip(batch.requests, batch.generated().tolist(), tokens, strict=True))


def _by_client(requests: list[Request], tokens: list[int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for request, count in zip(requests, tokens, strict=True):
        total[request.client] = total.get(request.client, 0) + count
    return total


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {client: a.get(client, 0) + b.get(client, 0) for client in {**a, **b}}
