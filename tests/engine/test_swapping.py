"""Keys and values of pre-empted requests in host memory: nothing is computed again, nothing is lost, and room comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.base import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.executors.simulated.executor import SimulatedExecutor
from engine.executors.simulated.profiles import load_deployment
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.ordering.mlfq import MLFQ
from engine.ordering.priority import Priority
from engine.request import ABORTED, FINISHED, RUNNING, WAITING, Request
from engine.roles import Policies
from engine.speculation.chain import Chain
from tests.engine.strategies import COST, Log, Served, assert_served, make_request, serve, workloads

LEVELS = {"hi": 0.0, "lo": 1.0}
BATCHINGS = pytest.mark.parametrize("batching", [VLLM, Sarathi])


def computed(served: Served) -> int:
    """Prompt tokens and repeated ones that were computed, all in all."""
    return sum(tokens for step in served.seen for *_, tokens in step.chunks)


def paused(batching: Batching) -> tuple[Served, Request]:
    """An answer of 60 tokens that waits while a more urgent one has the only seat."""
    low = make_request(0, "lo", prompt=30, output=60)
    high = make_request(1, "hi", prompt=10, output=5, arrival_s=0.1)
    served = serve([low, high], batching, Priority(LEVELS))
    assert_served(served)
    assert low.preemptions == 1
    return served, low


@BATCHINGS
def test_what_was_swapped_out_is_not_computed_again(batching: type) -> None:
    """Back on its seat it computes the token that it would have computed, and that alone."""
    again, low = paused(batching(max_sequences=1))
    kept, _ = paused(batching(max_sequences=1, swap_tokens=1000))
    assert computed(kept) == 30 + 10 + 1
    assert computed(again) > computed(kept) + 30
    returned = [chunk for step in kept.seen for chunk in step.chunks if chunk[0] == low.id][1:]
    assert [(tokens, done >= 30) for _, done, tokens in returned] == [(1, True)]


@BATCHINGS
def test_without_room_in_host_memory_it_is_computed_again(batching: type) -> None:
    small, _ = paused(batching(max_sequences=1, swap_tokens=32))
    none, _ = paused(batching(max_sequences=1))
    assert computed(small) == computed(none)


def test_half_a_prefill_is_kept() -> None:
    request = make_request(prompt=100, output=5)
    batching = Sarathi(token_budget=32, swap_tokens=400)
    engine = Engine(Policies(FCFS(), batching), SimulatedExecutor(COST, None, 0), BlockPool(1000, 16), Log())
    engine.submit(request)
    engine.step()
    engine.running.preempt(request)
    assert (request.prefilled, request.swapped, request.blocks) == (32, 2, 0)
    engine.step()
    assert (request.prefilled, request.swapped) == (64, 0)


@settings(deadline=None, max_examples=120)
@given(
    workloads(clients=("hi", "lo", "mid")), st.sampled_from((VLLM, Sarathi)), st.sampled_from((Priority, MLFQ, FCFS)),
    st.integers(4, 160), st.sampled_from((0, 3)),
)
def test_nothing_is_lost(requests: list[Request], batching: type, ordering: type, swap: int, drafts: int) -> None:
    order = Priority(LEVELS) if ordering is Priority else ordering()
    fill = batching(max_sequences=3, watermark=0.0, block_size=4, swap_tokens=swap)
    served = serve(requests, fill, order, Chain(drafts) if drafts else None, pool_tokens=120)
    assert_served(served)
    assert served.engine.running.host is not None and served.engine.running.host.free == swap // 4


def test_who_gives_up_while_swapped_out_leaves_nothing() -> None:
    low = make_request(0, "lo", prompt=30, output=60, patience_s=0.2)
    high = make_request(1, "hi", prompt=10, output=50, arrival_s=0.1)
    served = serve([low, high], VLLM(max_sequences=1, swap_tokens=1000), Priority(LEVELS))
    assert (low.status, high.status, low.preemptions, low.swapped) == (ABORTED, FINISHED, 1, 0)
    assert served.engine.running.host is not None and served.engine.running.host.free == 1000 // 16


def test_swapping_takes_the_time_of_its_bytes() -> None:
    """Out and in again, each token once both ways."""
    ends = []
    for token_s in (0.0, 0.001):
        low = make_request(0, "lo", prompt=30, output=60)
        policies = Policies(Priority(LEVELS), VLLM(max_sequences=1, swap_tokens=1000))
        engine = Engine(policies, SimulatedExecutor(COST, None, 0, swap_token_s=token_s), BlockPool(1000, 16), Log())
        engine.submit(low)
        while not low.generated:
            engine.step()
        before = engine.clock.now
        engine.running.preempt(low)
        kept = low.prefilled
        engine.step()
        ends.append((engine.clock.now - before, kept))
    assert ends[1][0] - ends[0][0] == pytest.approx(2 * 0.001 * ends[1][1])
    deployment = load_deployment("llama-2-7b", "a10g")
    assert deployment.swap_token_s == pytest.approx(524_288 / 25e9)


def test_room_below_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="swap_tokens must be 0 or at least a block of 16, not 15"):
        VLLM(swap_tokens=15)
    VLLM(swap_tokens=16)


@pytest.mark.parametrize("tokens", [float("nan"), float("inf"), 100.5, -16])
def test_room_that_is_no_number_of_tokens_is_refused(tokens: float) -> None:
    with pytest.raises(ValueError, match=f"swap_tokens must be 0 or at least a block of 16, not {tokens}"):
        Sarathi(swap_tokens=tokens)
    assert isinstance(Sarathi(swap_tokens=1e3).swap_tokens, int)


@BATCHINGS
def test_who_ends_may_end_others_of_the_same_step(batching: type) -> None:
    """A client that hangs up on all of its requests once the first is answered."""

    class HangsUp(Log):
        engine: Engine

        def request_done(self, request: Request) -> None:
            super().request_done(request)
            for other in [one for one in self.engine.live.values() if one.status in (WAITING, RUNNING)]:
                self.engine.abort(other, "its client hung up")

    requests = [make_request(0, output=3), make_request(1, output=3), make_request(2, prompt=40, output=9)]
    log = HangsUp()
    policies = Policies(FCFS(), batching(swap_tokens=1000))
    log.engine = Engine(policies, SimulatedExecutor(COST, None, 0), BlockPool(1000, 16), log)
    log.engine.run(requests)
    assert sorted(request.id for request in log.done) == [0, 1, 2]
    log.engine.check()
    assert log.engine.running.pool.free == 1000 // 16
