"""The loop under random requests: nothing is lost, nothing leaks, nobody idles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.ordering import Ordering
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.request import FINISHED, REJECTED, Request
from engine.speculation import Speculation
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from tests.engine.strategies import assert_served, make_request, serve, total, workloads


def slora() -> SLoRA:
    return SLoRA(decodes_between_admissions=3, longest_request=60, adapter_tokens=4, max_sequences=6)


def vllm() -> VLLM:
    return VLLM(max_sequences=6, max_batched_tokens=64, block_size=4)


def sarathi() -> Sarathi:
    return Sarathi(token_budget=48, max_sequences=6, block_size=4)


def adaserve() -> AdaServe:
    return AdaServe(budget=24, depth_budget=24, width_budget=8, draft_s=0.003)


Parts = tuple[Ordering, Batching, Speculation | None]

COMPOSITIONS: dict[str, Callable[[], Parts]] = {
    "slora": lambda: (FCFS(), slora(), None),
    "vllm": lambda: (FCFS(), vllm(), None),
    "sarathi": lambda: (FCFS(), sarathi(), None),
    "vtc": lambda: (VTC(), slora(), None),
    "vtc, vllm": lambda: (VTC(), vllm(), None),
    "chain, vllm": lambda: (FCFS(), vllm(), Chain(4)),
    "chain, sarathi": lambda: (FCFS(), sarathi(), Chain(8)),
    "chain, slora": lambda: (VTC(), slora(), Chain(4)),
    "adaserve, sarathi": lambda: (FCFS(), sarathi(), adaserve()),
    "adaserve, vllm": lambda: (FCFS(), vllm(), adaserve()),
    "adaserve, vtc, slora": lambda: (VTC(), slora(), adaserve()),
}


@pytest.mark.parametrize("name", COMPOSITIONS)
@settings(max_examples=40, deadline=None)
@given(requests=workloads(), pool_tokens=st.integers(60, 260))
def test_random_requests_are_served_once_and_leak_nothing(name: str, requests: list[Request], pool_tokens: int) -> None:
    ordering, batching, speculation = COMPOSITIONS[name]()
    served = serve(requests, batching, ordering, speculation, pool_tokens)
    assert_served(served)
    if all(request.preemptions == 0 for request in requests):
        finished = [request for request in requests if request.status == FINISHED]
        prompts = total({request.client: request.prompt_tokens} for request in finished)
        assert total(step.prompt for step in served.log.steps) == prompts


@pytest.mark.parametrize("name", ["vllm", "sarathi"])
def test_a_full_pool_preempts_and_still_serves_everybody(name: str) -> None:
    requests = [make_request(i, prompt=20, output=40) for i in range(6)]
    ordering, batching, speculation = COMPOSITIONS[name]()
    served = serve(requests, batching, ordering, speculation, pool_tokens=128)
    assert_served(served)
    assert sum(request.preemptions for request in requests) > 0
    assert all(request.status == FINISHED for request in requests)


@pytest.mark.parametrize("name", [name for name in COMPOSITIONS if name in ("slora", "vtc")])
def test_slora_never_preempts(name: str) -> None:
    requests = [make_request(i, "ab"[i % 2], prompt=20, output=40) for i in range(8)]
    ordering, batching, speculation = COMPOSITIONS[name]()
    served = serve(requests, batching, ordering, speculation, pool_tokens=150)
    assert_served(served)
    assert all(request.preemptions == 0 for request in requests)


@pytest.mark.parametrize("batching", [slora, vllm, sarathi])
def test_a_request_longer_than_the_pool_is_rejected_with_its_reason(batching: Callable[[], Batching]) -> None:
    requests = [make_request(0, prompt=50, output=5000), make_request(1, prompt=5, output=5)]
    served = serve(requests, batching(), pool_tokens=128)
    assert_served(served)
    assert requests[0].status == REJECTED and "5050 tokens" in str(requests[0].reason)
    assert requests[1].status == FINISHED


def test_an_ordering_may_reject() -> None:
    class Closed(FCFS):
        def on_arrival(self, request: Request, now: float) -> str | None:
            return "closed today"

    requests = [make_request()]
    assert_served(serve(requests, vllm(), Closed()))
    assert requests[0].reason == "closed today"


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_a_request_alone_in_the_smallest_pool_that_takes_it(name: str) -> None:
    ordering, batching, speculation = COMPOSITIONS[name]()
    requests = [make_request(prompt=20, output=20)]
    smallest = 44 if isinstance(batching, SLoRA) else 40
    served = serve(requests, batching, ordering, speculation, pool_tokens=smallest + batching.block_size)
    assert_served(served)
    assert requests[0].status == FINISHED


def test_speculation_without_lookahead_room_does_not_lose_the_request() -> None:
    requests = [make_request(prompt=20, output=20)]
    assert_served(serve(requests, Sarathi(token_budget=8, block_size=4), FCFS(), Chain(8), pool_tokens=40))


def test_slora_without_adapters_speculates_to_the_last_token_of_the_pool() -> None:
    requests = [make_request(prompt=20, output=20)]
    batching = SLoRA(adapter_tokens=0, longest_request=60)
    assert_served(serve(requests, batching, FCFS(), adaserve(), pool_tokens=41))


def test_an_idle_engine_sleeps_until_the_next_arrival() -> None:
    requests = [make_request(0, arrival_s=0.0, output=1), make_request(1, arrival_s=7.5, output=1)]
    serve(requests, vllm())
    assert requests[1].admitted_s == 7.5


def test_submitted_and_streamed_requests_are_served_together() -> None:
    early, late = make_request(0), make_request(1, arrival_s=0.5)
    served = serve([], vllm())
    served.engine.submit(early)
    served.engine.run([late])
    assert [request.id for request in served.log.done] == [0, 1]
