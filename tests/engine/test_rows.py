"""A step over some rows of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from engine.batch import Batch
from engine.batching.vllm import VLLM
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.plan import StepPlan
from engine.speculation.chain import Chain
from tests.engine.invariants.stages import NATIVE, SIMULATED, Stage
from tests.engine.strategies import assert_served, make_request, serve


class Halves(VLLM):
    """Decodes every other row of the batch in turn."""

    turn = 0

    def plan(self, running, draft, now):
        plan = super().plan(running, draft, now)
        if plan is not None and plan.decode and len(running.batch) > 1:
            self.turn += 1
            plan.rows = np.arange(self.turn % 2, len(running.batch), 2)
        return plan


def crowd(n=5):
    return [make_request(i, "ab"[i % 2], prompt=10 + i, output=6 + i) for i in range(n)]


@pytest.mark.parametrize("stage", [SIMULATED, NATIVE], ids=lambda stage: stage.name)
def test_a_request_is_stepped_only_when_its_row_is(stage: Stage) -> None:
    history = stage.serve(crowd(), VTC(), 2000, Halves(watermark=0.0))
    for request in history.requests:
        assert request.generated == request.output_tokens and request.steps == request.output_tokens - 1
    assert sum(len(step.output) for step in history.steps) < 2 * len(history.steps)


def test_drafts_are_of_those_rows_alone() -> None:
    served = serve(crowd(), Halves(watermark=0.0), FCFS(), Chain(3))
    assert_served(served)
    assert {step.nodes for step in served.seen if step.decode} <= {3 * n for n in range(1, 4)}


def test_the_native_answers_are_the_same() -> None:
    whole, halves = (NATIVE.serve(crowd(), FCFS(), 2000, kind(watermark=0.0)) for kind in (VLLM, Halves))
    assert [r.output_ids for r in halves.requests] == [r.output_ids for r in whole.requests]


def test_a_part_of_a_batch_is_a_copy() -> None:
    batch = Batch()
    for request in crowd(3):
        request.produced, request.first_token_s = 1, 0.0
        batch.add(request)
    part = batch.only(np.array([0, 2]))
    assert part.requests == [batch.requests[0], batch.requests[2]] and part.by_client == {"a": 2}
    part.context[:] += 5
    assert batch.context.tolist() == [10, 11, 12] and StepPlan().rows is None
