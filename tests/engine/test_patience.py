"""Clients that give up: on both executors nothing is lost, and what they held comes back."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.request import ABORTED, FINISHED, REJECTED, Request
from engine.roles import Policies
from tests.engine.invariants.history import History
from tests.engine.invariants.orders import ORDERS, make_order
from tests.engine.invariants.stages import NATIVE, SIMULATED, Stage, by_peak
from tests.engine.invariants.traffic import traffic
from tests.engine.strategies import ACCEPTANCE, COST, Log, make_request, serve

PATIENCE_S = (None, 0.0005, 0.03, 0.1)
STAGES = pytest.mark.parametrize("stage", [SIMULATED, NATIVE], ids=lambda stage: stage.name)


@STAGES
@pytest.mark.parametrize("batching", ["slora", "vllm"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_request_is_served_or_given_up_and_everything_comes_back(stage: Stage, order: str, batching: str) -> None:
    def check(requests: list[Request], pool_tokens: int, patience: list[float | None]) -> None:
        for place, request in enumerate(requests):
            request.patience_s = patience[place % len(patience)]
        fill = by_peak() if batching == "slora" else VLLM(max_sequences=3, watermark=0.0, block_size=4)
        history: History = stage.serve(requests, make_order(order), pool_tokens, fill)
        assert sorted(request.id for request in history.done) == [request.id for request in requests]
        for request in history.requests:
            assert request.status in (FINISHED, ABORTED, REJECTED) and request.blocks == 0
            assert request.status != FINISHED or request.generated == request.output_tokens
        tokens = sum(request.generated for request in history.requests)
        assert sum(sum(step.output.values()) for step in history.steps) == tokens
        prompt = sum(request.prompt_served for request in history.requests)
        assert sum(sum(step.prompt.values()) for step in history.steps) == prompt

    small = traffic(max_size=16, max_output=12)
    stage.holds(12, check, small, st.integers(56, 130), st.lists(st.sampled_from(PATIENCE_S), min_size=1, max_size=4))


def test_a_client_gives_up_between_the_steps_whether_it_waits_or_runs() -> None:
    runs = make_request(0, prompt=10, output=50, patience_s=0.1)
    waits = make_request(1, prompt=10, output=5, patience_s=0.05)
    served = serve([runs, waits], VLLM(max_sequences=1))
    assert (runs.status, waits.status) == (ABORTED, ABORTED)
    assert runs.reason == "its client gave up after 0.1 s"
    assert runs.finished_s is not None and 0.1 <= runs.finished_s < 0.13 and 0 < runs.generated < 50
    assert (waits.admitted_s, waits.generated) == (None, 0) and 0.05 <= (waits.finished_s or 0.0) < 0.1
    assert served.engine.running.pool.free == served.engine.running.pool.capacity


def test_who_is_served_in_time_is_not_touched() -> None:
    patient = [make_request(i, prompt=10, output=5, patience_s=100.0) for i in range(3)]
    plain = [make_request(i, prompt=10, output=5) for i in range(3)]
    assert serve(patient, VLLM()).records() == serve(plain, VLLM()).records()


def test_an_idle_engine_wakes_for_who_gives_up() -> None:
    """Nothing runs and nothing more comes: the one that waits is aborted at its own time and not at the end of the run."""

    class Never(FCFS):
        def next(self, now: float) -> None:  # type: ignore[override]
            return None

    request, pool = make_request(patience_s=7.0), BlockPool(1000, 16)
    engine = Engine(Policies(Never(), VLLM()), SimulatedExecutor(COST, ACCEPTANCE, 0), pool, Log())
    engine.run([request])
    assert request.status == ABORTED and engine.clock.now == 7.0


def test_a_running_request_can_be_aborted_from_outside() -> None:
    request, log, pool = make_request(output=50), Log(), BlockPool(1000, 16)
    engine = Engine(Policies(FCFS(), VLLM()), SimulatedExecutor(COST, ACCEPTANCE, 0), pool, log)
    engine.submit(request)
    for _ in range(5):
        engine.step()
    engine.abort(request, "its connection was closed")
    engine.check()
    assert (request.status, request.generated, engine.live) == (ABORTED, 5, {})
    assert log.done == [request] and pool.free == pool.capacity
