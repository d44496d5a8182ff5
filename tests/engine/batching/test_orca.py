"""Iteration-level scheduling: prefills ride with decodes, whoever was chosen goes, and nobody is stuck behind who was not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters import ADAPTERS
from engine.adapters.merged import Merged
from engine.batching.orca import Orca
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.request import FINISHED, Request
from engine.roles import Policies
from tests.engine.strategies import COST, CheckedEngine, Log, Served, assert_served, make_request, serve, workloads

SMALL = {"max_sequences": 4, "max_batched_tokens": 128, "block_size": 4, "watermark": 0.0}


def served_with(requests: Sequence[Request], adapters, pool_tokens: int, swap_tokens: int = 0) -> Served:
    log = Log()
    executor = SimulatedExecutor(COST, None, 0, swap_token_s=1e-5)
    policies = Policies(FCFS(), Orca(**SMALL, swap_tokens=swap_tokens), adapters=adapters)
    engine = CheckedEngine(policies, executor, BlockPool(pool_tokens, 4), log)
    engine.run(requests)
    return Served(engine, log, [], list(requests))


def test_prompts_ride_with_decodes_up_to_the_seats():
    served = serve([make_request(i, prompt=20, output=5 + 3 * i) for i in range(9)], Orca(**SMALL))
    assert_served(served)
    assert max(step.rows + len(step.chunks) for step in served.seen) == 4
    assert any(step.decode and step.chunks for step in served.seen)


@settings(max_examples=40, deadline=None)
@given(workloads(), st.sampled_from([name for name, make in ADAPTERS.items() if make]), st.integers(1, 4),
       st.sampled_from((100, 200, 4000)), st.sampled_from((0, 80)))
def test_every_mode_serves_everybody(requests, name, slots, pool_tokens, swap_tokens):
    for request in requests:
        request.adapter = request.client
    make = ADAPTERS[name]
    assert make is not None
    served = served_with(requests, make(slots=slots), pool_tokens, swap_tokens)
    assert_served(served)
    assert not served.engine.running.parked and not served.engine.running.queue.counts()


def test_who_is_passed_by_gives_way_when_the_pool_is_full_of_them():
    """The merged adapter's requests all wait, and those of others hold every block."""

    class First(Merged):
        """After a while only the last adapter may go."""

        def choose(self, queue, seats):
            choice = super().choose(queue, seats)
            if "b" in queue.adapters:
                return type(choice)(queue.of("b", seats), merged="b")
            return choice

    held = [make_request(i, prompt=24, output=12, adapter="a") for i in range(4)]
    late = make_request(4, prompt=60, output=3, arrival_s=0.03, adapter="b")
    served_with([*held, late], First(), pool_tokens=148)
    assert all(request.status == FINISHED for request in (*held, late))
    assert late.finished_s < min(request.finished_s for request in held)
    assert sum(request.preemptions for request in held) >= 1


def test_what_no_step_can_compute_again_is_refused():
    served = serve([make_request(0, prompt=100, output=29), make_request(1, prompt=100, output=28)], Orca(**SMALL))
    assert [request.status for request in served.requests] == ["rejected", FINISHED]
    assert served.requests[0].reason == "129 tokens are more than a step of 128 can compute again"


@pytest.mark.parametrize("name", ["credit", "multi-lora"])
def test_requests_without_an_adapter_are_served_too(name):
    make = ADAPTERS[name]
    assert make is not None
    assert_served(served_with([make_request(i, output=5) for i in range(6)], make(), 400))
