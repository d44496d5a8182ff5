"""Who is pre-empted: whom the ordering names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.ordering.fcfs import FCFS
from engine.ordering.mlfq import MLFQ
from engine.ordering.priority import Priority
from engine.ordering.vtc import VTC
from engine.request import Request
from engine.speculation.chain import Chain
from engine.system import parse_system
from tests.engine.invariants.history import most_together, unit
from tests.engine.invariants.stages import SIMULATED, Stage
from tests.engine.invariants.test_vtc_bounds import BUSY, WatchedVTC, largest_gap
from tests.engine.strategies import assert_served, make_request, serve, workloads

LEVELS = {"hi": 0.0, "lo": 1.0}


def test_a_full_pool_takes_from_the_least_urgent_and_not_from_the_newest() -> None:
    lows = [make_request(i, "lo", prompt=30, output=60) for i in range(3)]
    high = make_request(3, "hi", prompt=30, output=60)
    assert_served(serve([*lows, high], VLLM(watermark=0.0), Priority(LEVELS), pool_tokens=240))
    assert high.preemptions == 0 and sum(low.preemptions for low in lows) > 0


@pytest.mark.parametrize("batching", [VLLM(max_sequences=1), Sarathi(max_sequences=1)])
def test_an_urgent_newcomer_takes_a_seat(batching: VLLM | Sarathi) -> None:
    low = make_request(0, "lo", output=50)
    high = make_request(1, "hi", output=5, arrival_s=0.1)
    assert_served(serve([low, high], batching, Priority(LEVELS)))
    assert low.preemptions == 1 and high.finished_s < low.finished_s


def test_a_prefill_goes_on_when_the_whole_batch_gave_way() -> None:
    """Each step's drafts take the whole budget until the pool runs out under them; then there is nobody to draft for."""
    low, high = make_request(0, "lo", prompt=20, output=60), make_request(1, "hi", prompt=60, output=4, arrival_s=0.001)
    batching = Sarathi(token_budget=16, watermark=0.0, block_size=4)
    assert_served(serve([low, high], batching, Priority(LEVELS), Chain(tokens=15), pool_tokens=100))
    assert low.preemptions == 1 and high.finished_s < low.finished_s


@pytest.mark.parametrize(("prompt", "victims"), [(32, 1), (33, 2)])
def test_so_many_give_way_as_are_needed(prompt: int, victims: int) -> None:
    """Two that run hold 32 of 64 tokens each, so that nothing is free for the urgent one."""
    lows = [make_request(i, "lo", prompt=24, output=20) for i in range(2)]
    high = make_request(2, "hi", prompt=prompt, output=4, arrival_s=0.05)
    served = serve([*lows, high], VLLM(watermark=0.0, block_size=16), Priority(LEVELS), pool_tokens=64)
    assert_served(served)
    first = next(step for step in served.seen if step.chunks and step.chunks[0][0] == 2)
    assert first.rows == 2 - victims


@pytest.mark.parametrize("batching", [VLLM, Sarathi])
@pytest.mark.parametrize(("pool", "preempted"), [(50, 0), (49, 1)])
def test_room_for_the_last_token_is_enough(batching: type, pool: int, preempted: int) -> None:
    """Two answers that end together with 26 tokens each, of which the last has no place in the cache."""
    requests = [make_request(i, prompt=6, output=20) for i in range(2)]
    assert_served(serve(requests, batching(watermark=0.0, block_size=1), pool_tokens=pool))
    assert sum(request.preemptions for request in requests) == preempted


def test_who_gave_way_stays_at_the_head_of_one_line() -> None:
    class Generous(FCFS):
        def victim(self, running, waiting, now):
            return running[0] if waiting is None or not waiting.preemptions else None

    requests = [make_request(i, output=8, arrival_s=0.01 * i) for i in range(3)]
    assert_served(serve(requests, VLLM(max_sequences=1), Generous()))
    assert sum(request.preemptions for request in requests) > 0


def test_an_equal_takes_nothing() -> None:
    first, second = make_request(0, "lo", output=50), make_request(1, "lo", output=5, arrival_s=0.1)
    assert_served(serve([first, second], VLLM(max_sequences=1), Priority(LEVELS)))
    assert first.preemptions == 0


def test_nobody_gives_way_in_vain() -> None:
    """One of the two that run is less urgent, but its room alone is not enough."""
    low = make_request(0, "lo", prompt=16, output=40)
    top = make_request(1, "hi", prompt=100, output=40)
    late = make_request(2, "mid", prompt=100, output=4, arrival_s=0.1)
    ranks = {"hi": 0.0, "mid": 1.0, "lo": 2.0}
    assert_served(serve([low, top, late], VLLM(watermark=0.0), Priority(ranks), pool_tokens=208))
    assert low.preemptions == 0


def test_fastserve_pauses_a_long_answer_for_a_newcomer() -> None:
    long, short = make_request(0, output=60), make_request(1, output=2, arrival_s=0.3)
    assert_served(serve([long, short], VLLM(max_sequences=1), MLFQ()))
    assert long.preemptions > 0 and short.finished_s < long.finished_s


def test_vtc_takes_from_the_client_that_was_charged_most() -> None:
    requests = [make_request(i, client, prompt=20, output=40) for i, client in enumerate("aaab")]
    assert_served(serve(requests, VLLM(watermark=0.0, block_size=1), VTC(), pool_tokens=150))
    assert requests[3].preemptions == 0 and sum(request.preemptions for request in requests) > 0


def test_generated_is_true_while_a_request_decodes() -> None:
    seen = []

    class Watching(FCFS):
        def on_pass(self, now: float) -> None:
            seen.append(request.generated)

    request = make_request(output=6)
    serve([request], Sarathi(), Watching())
    assert seen[:6] == [0, 1, 2, 3, 4, 5]


@settings(deadline=None, max_examples=60)
@given(workloads(clients=("hi", "lo", "mid")), st.sampled_from((VLLM, Sarathi)), st.sampled_from((Priority, MLFQ, VTC)))
def test_pre_emption_by_order_loses_nothing(requests: list[Request], batching: type, ordering: type) -> None:
    """Watermark 0 and a pool for two: pre-emptions in most examples."""
    order = Priority(LEVELS) if ordering is Priority else ordering()
    assert_served(serve(requests, batching(max_sequences=3, watermark=0.0, block_size=4), order, pool_tokens=120))


@settings(deadline=None, max_examples=150)
@given(
    workloads(clients=("a1", "b1", "c1"), max_prompt=40),
    st.sampled_from(("priority(levels=a1:0;b1:1)", "fairserve(expected=client)", "mlfq(quantum=5)", "vtc", "drr")),
    st.sampled_from(("chain(tokens=7)", "adaserve", "specinfer(branching=2;1)")),
    st.integers(8, 40),
    st.integers(66, 140),
)
def test_drafts_and_pre_emption_lose_nothing(requests: list[Request], order: str, spec: str, budget: int, pool: int) -> None:
    """Drafts that take the whole budget, and a pool that runs out under them."""
    built = parse_system(f"order={order},spec={spec}").build({})
    batching = Sarathi(token_budget=budget, max_sequences=4, watermark=0.0, block_size=4)
    assert_served(serve(requests, batching, built.ordering, built.speculation, pool_tokens=pool))


def test_vtc_keeps_its_bounds_under_pre_emption(stage: Stage = SIMULATED) -> None:
    """Lemma 4.3 and Theorem 4.4 with the pool overcommitted: a victim keeps its place and is charged its prompt once."""
    preempted = []

    def check(requests: list[Request], pool_tokens: int, seats: int) -> None:
        vtc = WatchedVTC()
        batching = VLLM(max_sequences=seats, watermark=0.0, block_size=1)
        history = stage.serve(requests, vtc, pool_tokens, batching)
        preempted.append(sum(request.preemptions for request in history.requests))
        most = unit(history.requests, most_together(history.requests))
        assert vtc.spread <= most
        assert largest_gap(history) <= 2 * most

    stage.holds(100, check, BUSY, st.integers(20, 60), st.integers(2, 12))
    assert sum(count > 0 for count in preempted) > 20
