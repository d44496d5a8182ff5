"""The executor that computes times and outcomes instead of tokens."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from engine.batch import Batch
from engine.executors.base import Executor
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.adapter_cost import AdapterCost
from engine.executors.simulated.clock import VirtualClock
from engine.executors.simulated.cost import StepCost
from engine.executors.simulated.measured import MeasuredAcceptance
from engine.plan import Candidates, DraftShape, StepPlan, StepResult
from engine.request import Request

Acceptance = AcceptanceModel | MeasuredAcceptance


class SimulatedExecutor(Executor):
    """Steps cost what ``cost`` says, and draft tokens are accepted as ``acceptance`` says.

    ``cold_start_s`` is added to the first step of the run; ``context`` is the model's, in tokens; swapping takes
    ``swap_token_s`` for each token, and ``adapters`` is what adapters add.
    """

    def __init__(
        self,
        cost: StepCost,
        acceptance: Acceptance | None,
        seed: int,
        cold_start_s: float = 0.0,
        context: int = sys.maxsize,
        swap_token_s: float = 0.0,
        adapters: AdapterCost | None = None,
    ):
        self.clock = VirtualClock()
        self.context = context
        self._cost, self._adapters = cost, adapters
        self._sampler = acceptance.sampler(seed) if acceptance else None
        self._due_s, self._swap_token_s = cold_start_s, swap_token_s

    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        if self._sampler is None:
            raise RuntimeError("speculation needs a deployment with a draft model")
        return self._sampler.draft_for(batch.requests, shape)

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        elapsed = self._cost.seconds(plan, batch)
        if self._adapters is not None:
            elapsed, adjust_s = self._adapters.seconds(plan, batch, elapsed)
            self.adjust_s += adjust_s
        elapsed += self._due_s
        self._due_s = 0.0
        if plan.trees is None or self._sampler is None:
            return StepResult(elapsed)
        accepted = self._sampler.accept(plan.trees) + 1
        return StepResult(elapsed, np.minimum(accepted, batch.left))

    def foresee(self, plan: StepPlan, batch: Batch, steps: int, span_s: float) -> Sequence[float]:
        if self._due_s:
            return ()
        elapsed = self._cost.foresee(plan, batch, steps, span_s)
        if self._adapters is None:
            return elapsed
        more_s = self._adapters.seconds(plan, batch, 0.0)[0]
        return [step_s + more_s for step_s in elapsed]

    def swap_out(self, request: Request) -> None:
        self._due_s += self._swap_token_s * request.prefilled

    def swap_in(self, request: Request) -> None:
        self._due_s += self._swap_token_s * request.prefilled
