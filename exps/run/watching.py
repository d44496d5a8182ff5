"""Executors around another one: they have it do everything, and watch."""

from __future__ import annotations

import time

from engine.batch import Batch
from engine.executors.base import Clock, Executor
from engine.plan import Candidates, DraftShape, StepPlan, StepResult
from engine.request import Request


class Watching(Executor):
    """Does what ``inner`` does, a step at a time, and drafts before the policy selects, so that both can be told apart."""

    def __init__(self, inner: Executor):
        self.inner, self.context = inner, inner.context

    @property
    def clock(self) -> Clock:  # type: ignore[override]
        return self.inner.clock

    @property
    def adjust_s(self) -> float:  # type: ignore[override]
        return self.inner.adjust_s

    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        return self.inner.draft(batch, shape)

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        return self.inner.forward(plan, batch)

    def refuse(self, request: Request) -> str | None:
        return self.inner.refuse(request)

    def release(self, request: Request) -> None:
        self.inner.release(request)

    def swap_out(self, request: Request) -> None:
        self.inner.swap_out(request)

    def swap_in(self, request: Request) -> None:
        self.inner.swap_in(request)


class Stopwatch(Watching):
    """How long the parts of a real executor's steps take, until the host has their outcome, which a device's queue is empty
    for.

    ``seconds``: of ``draft``, of ``forward`` where it decodes or verifies, and of those that only read prompts (``prefill``).
    """

    def __init__(self, inner: Executor):
        super().__init__(inner)
        self.seconds = {"draft": 0.0, "forward": 0.0, "prefill": 0.0}

    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        begin = time.perf_counter()
        candidates = self.inner.draft(batch, shape)
        self.seconds["draft"] += time.perf_counter() - begin
        return candidates

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        begin = time.perf_counter()
        result = self.inner.forward(plan, batch)
        self.seconds["forward" if plan.decode else "prefill"] += time.perf_counter() - begin
        return result

    @property
    def facts(self) -> dict[str, float]:
        """As facts of a run: draft_s, forward_s, prefill_s."""
        return {f"{part}_s": seconds for part, seconds in self.seconds.items()}
