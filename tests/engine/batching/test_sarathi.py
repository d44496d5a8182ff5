"""Sarathi: every step decodes the batch, and prefill chunks fill the rest of the budget."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.sarathi import Sarathi
from engine.kv_cache import BlockPool
from engine.request import FINISHED, Request
from engine.speculation.adaserve import AdaServe
from tests.engine.strategies import Seen, assert_served, make_request, serve, workloads


def test_a_long_prompt_is_prefilled_beside_the_decodes() -> None:
    requests = [make_request(0, prompt=6, output=9), make_request(1, prompt=20, output=2)]
    served = serve(requests, Sarathi(token_budget=8))
    assert [step.chunks for step in served.seen[:4]] == [
        ((0, 0, 6), (1, 0, 2)), ((1, 2, 7),), ((1, 9, 7),), ((1, 16, 4),),
    ]
    assert [step.rows for step in served.seen] == [0, 1, 1, 1, 2, 1, 1, 1, 1]
    assert all(step.decode for step in served.seen[1:])


@pytest.mark.parametrize("speculation", [None, AdaServe(budget=12, depth_budget=12, width_budget=8)])
@settings(max_examples=40, deadline=None)
@given(requests=workloads(), token_budget=st.integers(12, 60), pool_tokens=st.integers(90, 300))
def test_every_step_decodes_and_stays_within_its_budget(
    speculation: AdaServe | None, requests: list[Request], token_budget: int, pool_tokens: int
) -> None:
    batching = Sarathi(token_budget, max_sequences=8, block_size=4)
    served = serve(requests, batching, speculation=speculation, pool_tokens=pool_tokens)
    assert all(step.tokens <= token_budget for step in served.seen)
    assert all(step.decode == (step.rows > 0) for step in served.seen)


@settings(max_examples=40, deadline=None)
@given(requests=workloads(), token_budget=st.integers(8, 60))
def test_chunks_follow_one_another_to_the_end_of_the_prefill(requests: list[Request], token_budget: int) -> None:
    served = serve(requests, Sarathi(token_budget), pool_tokens=5000)
    progress = chunked(served.seen)
    for request in requests:
        assert progress[request.id] == request.prompt_tokens


def chunked(seen: list[Seen]) -> dict[int, int]:
    """Tokens prefilled of each request; every chunk begins where the last one ended, or anew after a pre-emption."""
    progress: defaultdict[int, int] = defaultdict(int)
    for step in seen:
        for request, done, tokens in step.chunks:
            assert done in (0, progress[request]) and tokens > 0
            progress[request] = done + tokens
    return progress


def test_a_preempted_request_recomputes_prompt_and_answer_in_chunks() -> None:
    requests = [make_request(i, prompt=16, output=30) for i in range(3)]
    served = serve(requests, Sarathi(token_budget=12, block_size=4), pool_tokens=80)
    newest = requests[2]
    assert_served(served)
    assert newest.preemptions > 0 and requests[0].preemptions == 0
    assert chunked(served.seen)[newest.id] > newest.prompt_tokens


def test_the_first_token_is_not_moved_by_a_preemption() -> None:
    requests = [make_request(i, prompt=16, output=40) for i in range(3)]
    served = serve(requests, Sarathi(token_budget=64, block_size=4), pool_tokens=80)
    assert requests[2].preemptions > 0
    assert [request.first_token_s for request in requests] == [served.log.steps[0].end_s] * 3


def test_no_more_than_max_sequences_run_and_the_watermark_stays_free() -> None:
    requests = [make_request(i, prompt=8, output=8) for i in range(8)]
    assert len(serve(requests, Sarathi(max_sequences=3)).seen[0].chunks) == 3
    requests = [make_request(i, prompt=8, output=8) for i in range(8)]
    served = serve(requests, Sarathi(watermark=0.5, block_size=8), pool_tokens=48)
    assert len(served.seen[0].chunks) == 3
    assert all(request.status == FINISHED for request in requests)


def test_the_pool_less_the_watermark_is_what_a_request_may_need() -> None:
    batching, pool = Sarathi(watermark=0.25, block_size=8), BlockPool(64, 8)
    assert batching.refuse(make_request(prompt=40, output=8), pool) is None
    assert batching.refuse(make_request(prompt=40, output=9), pool) == "49 tokens do not fit a pool of 64"
