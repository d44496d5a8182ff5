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
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
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

    def take(self, plan: StepPlan, until_s: float) -> tuple[Sequence[float], bool]:
        """Take the step of ``plan``, which was just planned, and those like it that begin before ``until_s``. One in which
        somebody ends, or that has none like it, is planned and left to be taken by itself.

        Returns when each of them begins and the last ends, and whether a step is left.
        """
        count, times = self._alike(plan, until_s) if self._may_go_on(plan) else (1, [])
        if count == 1:
            return (), True
        left = count == self.running.batch.steps_to_end
        times = times[: count + (not left)]
        self._commit(plan, count, times, left)
        return times, left

    def _may_go_on(self, plan: StepPlan) -> bool:
        """Whether a step like the planned one may follow."""
        running, before = self.running, self._preemptions
        self._preemptions = running.preemptions
        alike = not plan.prefill and plan.draft is None and plan.rows is None and running.preemptions == before
        return alike and running.batch.steps_to_end > 1 and self.arrivals.first_s > self.executor.clock.now

    def _alike(self, plan: StepPlan, until_s: float) -> tuple[int, list[float]]:
        """How many steps, from the planned one, are alike, and when each begins and ends."""
        running, now = self.running, self.executor.clock.now
        horizon = self.batching.horizon(running)
        until_s = min(until_s, horizon.until_s)
        steps = 1 + running.room(int(min(running.batch.steps_to_end, horizon.steps)) - 1)
        if steps == 1 or until_s <= now:
            return 1, []
        elapsed = self.executor.foresee(plan, running.batch, steps, min(until_s, self.arrivals.first_s) - now)
        times = list(accumulate(elapsed, initial=now))
        return max(1, min(bisect_left(times, until_s), self.arrivals.unseen(times), len(elapsed))), times

    def _commit(self, plan: StepPlan, count: int, times: Sequence[float], left: bool) -> None:
        """The last pass over who waits is made when all steps before it were charged, as one by one."""
        running, taken, last_s = self.running, len(times) - 1, times[count - 1]
        self._charge(0, count - 1)
        running.extend(count - 1)
        self.batching.repeat(running, count - 1, last_s)
        if not left:
            self._charge(count - 1, 1)
        running.batch.advance(taken)
        self.executor.clock.wait_until(times[-1])
        self.arrivals.passed(plan.waits, taken, last_s)
        self.observer.step_done(times[0], times[-1], {}, running.batch.by_client, taken, plan.adapter)

    def _charge(self, done: int, steps: int) -> None:
        """Charge ``steps`` steps, after ``done`` that the batch has not advanced by."""
        ordering, batch = self.running.ordering, self.running.batch
        if not ordering.by_request:
            ordering.on_equal_tokens(batch.by_client, steps)
            return
        before = batch.generated().tolist()
        for step in range(done, done + steps):
            ordering.on_request_tokens([(r, b + step, 1) for r, b in zip(batch.requests, before, strict=True)], False, 0)
