"""Answers that end early, requests that fail, and a run that the clock stops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batch import Batch
from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.plan import StepPlan, StepResult
from engine.request import FAILED, FINISHED, REJECTED, RUNNING, WAITING, Request
from engine.roles import Policies
from engine.speculation import Speculation
from engine.speculation.chain import Chain
from tests.engine.strategies import ACCEPTANCE, COST, CheckedEngine, Log, make_request, total, workloads

REASON = "it broke"
Ends = Mapping[int, tuple[int, bool]]


class Ending(SimulatedExecutor):
    """Ends the answer of request ``id`` at its ``ends[id][0]``-th token, or fails it there when ``ends[id][1]``."""

    def __init__(self, ends: Ends):
        super().__init__(COST, ACCEPTANCE, seed=0)
        self._ends, self.released = ends, list[int]()
        self.context = 400

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        result = super().forward(plan, batch)
        ended: dict[int, str | None] = {}
        for chunk in plan.prefill:
            if chunk.done + chunk.tokens == chunk.request.prefill_tokens:
                self._answer(chunk.request, chunk.request.generated, 1, ended)
        accepted = result.accepted
        if plan.decode:
            counts = np.ones(len(batch), np.int64) if accepted is None else accepted
            before = batch.generated().tolist()
            said = [self._answer(*row, ended) for row in zip(batch.requests, before, counts.tolist(), strict=True)]
            accepted = np.array(said, np.int64)
        return StepResult(result.elapsed_s, accepted, ended or None)

    def release(self, request: Request) -> None:
        self.released.append(request.id)

    def _answer(self, request: Request, before: int, count: int, ended: dict[int, str | None]) -> int:
        """How many of ``count`` more tokens are said."""
        end, fails = self._ends.get(request.id, (10**9, False))
        if before + count < end:
            return count
        ended[request.id] = REASON if fails else None
        return end - before - fails


def serve(requests: list[Request], ends: Ends, speculation: Speculation | None = None, vtc: bool = False) -> CheckedEngine:
    batching = VLLM(max_sequences=6, block_size=4)
    executor = Ending(ends)
    ordering = VTC() if vtc else FCFS()
    engine = CheckedEngine(Policies(ordering, batching, speculation), executor, BlockPool(200, batching.block_size), Log())
    engine.run(requests)
    return engine


@pytest.mark.parametrize("speculation", [None, Chain(3)])
@pytest.mark.parametrize("vtc", [False, True])
@settings(max_examples=40, deadline=None)
@given(requests=workloads(), data=st.data())
def test_every_answer_ends_where_its_executor_says(
    speculation: Speculation | None, vtc: bool, requests: list[Request], data: st.DataObject
) -> None:
    lengths = {request.id: request.output_tokens for request in requests}
    ends = {id: (data.draw(st.integers(1, length)), data.draw(st.booleans())) for id, length in lengths.items() if id % 3}
    engine = serve(requests, ends, speculation, vtc)
    log = engine.observer
    assert isinstance(log, Log) and isinstance(engine.executor, Ending)
    assert sorted(request.id for request in log.done) == sorted(lengths)
    assert engine.running.pool.free == engine.running.pool.capacity and len(engine.ordering) == 0
    output: dict[str, int] = {}
    for request in requests:
        end, fails = ends.get(request.id, (lengths[request.id], False))
        assert request.status == (FAILED if fails else FINISHED)
        assert request.reason == (REASON if fails else None)
        assert request.generated == end - fails
        assert (request.first_token_s is None) == (request.generated == 0)
        assert request.finished_s is not None and request.blocks == 0
        assert engine.executor.released.count(request.id) == request.preemptions + 1
        output[request.client] = output.get(request.client, 0) + request.generated
    assert total(step.output for step in log.steps) == {client: n for client, n in output.items() if n}


def test_a_failure_at_the_first_token_has_no_first_token() -> None:
    request = make_request(output=5)
    engine = serve([request], {0: (1, True)})
    assert (request.status, request.reason, request.generated, request.first_token_s) == (FAILED, REASON, 0, None)
    assert isinstance(engine.observer, Log)
    assert [step.output for step in engine.observer.steps] == [{}]
    assert [step.prompt for step in engine.observer.steps] == [{"a": 10}]


def test_a_stop_token_at_the_first_place_counts() -> None:
    request = make_request(output=5)
    serve([request], {0: (1, False)})
    assert (request.status, request.reason, request.generated) == (FINISHED, None, 1)
    assert request.first_token_s == request.finished_s


def test_a_failure_among_others_frees_its_blocks_for_them() -> None:
    requests = [make_request(i, prompt=20, output=60) for i in range(8)]
    engine = serve(requests, {i: (10, True) for i in range(0, 8, 2)})
    assert [request.status for request in requests] == [FAILED, FINISHED] * 4
    assert [request.generated for request in requests] == [9, 60] * 4
    assert engine.running.pool.free == engine.running.pool.capacity


def test_what_exceeds_the_context_is_rejected() -> None:
    requests = [make_request(0, prompt=300, output=101), make_request(1, prompt=5, output=5)]
    serve(requests, {})
    assert requests[0].status == REJECTED
    assert requests[0].reason == "401 tokens do not fit the model's context of 400"
    assert requests[1].status == FINISHED


@pytest.mark.parametrize("until_s", [0.0, 0.05, 0.4, 2.0])
def test_a_run_stops_at_the_first_step_that_ends_late_enough(until_s: float) -> None:
    batching = VLLM(max_sequences=3)
    engine = Engine(Policies(FCFS(), batching), SimulatedExecutor(COST, None, seed=0), BlockPool(4000), Log())
    requests = [make_request(i, output=40, arrival_s=i * 0.1) for i in range(8)]
    engine.run(requests, until_s)
    log = engine.observer
    assert isinstance(log, Log)
    assert all(step.start_s < until_s for step in log.steps)
    assert engine.clock.now >= until_s or len(log.done) == 8
    running = [*engine.running.prefilling, *engine.running.batch.requests]
    assert all(request.status == RUNNING for request in running)
    assert {request.status for request in requests} <= {WAITING, RUNNING, FINISHED}
    engine.check()


def test_a_stopped_run_goes_on_with_what_was_left() -> None:
    def run(*stops: float) -> list[tuple[object, ...]]:
        engine = Engine(Policies(FCFS(), VLLM(max_sequences=3)), SimulatedExecutor(COST, None, seed=0), BlockPool(4000), Log())
        requests = [make_request(i, output=40, arrival_s=i * 0.1) for i in range(8)]
        for request in requests:
            engine.submit(request)
        for stop in stops:
            engine.run(until_s=stop)
        engine.run()
        assert engine.busy_s <= engine.clock.now
        return [(r.status, r.admitted_s, r.first_token_s, r.finished_s, r.steps) for r in requests]

    assert run() == run(0.3, 0.31, 1.0)
