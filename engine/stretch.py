"""Decode steps between two events, taken in one go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from engine.arrivals import Arrivals
from engine.batching import Batching
from engine.batching.base import Running
from engine.executors.base import Executor
from engine.plan import StepPlan


class StepObserver(Protocol):
    """Hears of equal steps together (``engine.core.Observer``)."""

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1
    ) -> None: ...


@dataclass(slots=True)
class Stretch:
    """Takes steps of an unchanged batch together: nobody is seen, admitted, pre-empted or finished in them.

    What they leave behind is to the bit what ``Engine.step`` leaves when it takes each by itself.
    """

    running: Running
    batching: Batching
    executor: Executor
    arrivals: Arrivals
    observer: StepObserver
    _preemptions: int = 0

    def take(self, plan: StepPlan, until_s: float) -> Sequence[float]:
        """Take the steps that are like the one of ``plan``, which was just planned, and begin before ``until_s``: all but the
        last, which is then planned and left to be taken.

        Returns when each of them begins, the last included: one time, and nothing was taken, where there are none like it.
        """
        starts = self._starts(plan, until_s)
        if (steps := len(starts) - 1) > 0:
            self._commit(plan, steps, starts)
        return starts

    def _starts(self, plan: StepPlan, until_s: float) -> Sequence[float]:
        running, now = self.running, self.executor.clock.now
        disturbed, self._preemptions = running.preemptions > self._preemptions, running.preemptions
        alike = running.batch.steps_to_end
        if disturbed or alike < 2 or plan.prefill or plan.draft or plan.rows is not None:
            return [now]
        horizon = self.batching.horizon(running)
        until_s = min(until_s, horizon.until_s)
        more = running.room(int(min(alike, horizon.steps)) - 1)
        span_s = min(until_s, self.arrivals.first_s) - now
        elapsed = self.executor.foresee(plan, running.batch, more, span_s) if more else ()
        starts = list(accumulate(elapsed, initial=now))
        return starts[: max(1, min(bisect_left(starts, until_s), self.arrivals.unseen(starts)))]

    def _commit(self, plan: StepPlan, steps: int, starts: Sequence[float]) -> None:
        """The last pass over who waits is made when all steps before it were charged, as one by one."""
        running, begin_s, now = self.running, starts[0], starts[-1]
        self.executor.clock.wait_until(now)
        self._charge(steps)
        running.extend(steps)
        running.batch.advance(steps)
        self.batching.repeat(running, steps, now)
        self.arrivals.passed(plan.waits, steps, now)
        self.observer.step_done(begin_s, now, {}, running.batch.by_client, steps)

    def _charge(self, steps: int) -> None:
        ordering, batch = self.running.ordering, self.running.batch
        if not ordering.by_request:
            ordering.on_equal_tokens(batch.by_client, steps)
            return
        before = batch.generated().tolist()
        for step in range(steps):
            ordering.on_request_tokens([(r, b + step, 1) for r, b in zip(batch.requests, before, strict=True)], False, 0)
