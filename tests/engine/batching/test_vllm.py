"""vLLM V0: prefills go first and alone; a full pool pre-empts the newest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from engine.batching.vllm import VLLM
from engine.kv_cache import BlockPool
from engine.request import Request
from engine.speculation.chain import Chain
from tests.engine.strategies import assert_served, make_request, serve, workloads


def test_a_newcomer_is_prefilled_before_the_batch_decodes_on() -> None:
    requests = [make_request(0, output=30), make_request(1, arrival_s=0.055)]
    served = serve(requests, VLLM())
    starts = [step.start_s for step in served.log.steps]
    assert requests[1].admitted_s == next(start for start in starts if start >= 0.055)


@settings(max_examples=30, deadline=None)
@given(workloads())
def test_prefills_and_decodes_never_share_a_step(requests: list[Request]) -> None:
    served = serve(requests, VLLM(block_size=4, max_sequences=4), pool_tokens=120)
    assert all(step.decode != bool(step.chunks) for step in served.seen)
    assert all(step.rows <= 4 and len(step.chunks) <= 4 for step in served.seen)


def test_a_step_prefills_whole_prompts_up_to_its_tokens() -> None:
    requests = [make_request(i, prompt=prompt, output=2) for i, prompt in enumerate((30, 30, 30, 500))]
    served = serve(requests, VLLM(max_batched_tokens=64))
    chunks = [step.chunks for step in served.seen if step.chunks]
    assert chunks == [((0, 0, 30), (1, 0, 30)), ((2, 0, 30),), ((3, 0, 500),)]


@pytest.mark.parametrize(("watermark", "at_once"), [(0.0, 5), (0.2, 4), (0.5, 3)])
def test_admission_leaves_the_watermark_free(watermark: float, at_once: int) -> None:
    requests = [make_request(i, prompt=8, output=8) for i in range(8)]
    served = serve(requests, VLLM(watermark=watermark, block_size=8), pool_tokens=40)
    assert len(served.seen[0].chunks) == at_once
    assert_served(served)


def test_the_pool_less_the_watermark_is_what_a_request_may_need() -> None:
    batching, pool = VLLM(watermark=0.25, block_size=8), BlockPool(64, 8)
    assert batching.refuse(make_request(prompt=40, output=8), pool) is None
    assert batching.refuse(make_request(prompt=40, output=9), pool) == "49 tokens do not fit a pool of 64"


@pytest.mark.parametrize("speculation", [None, Chain(3)])
def test_the_newest_is_preempted_and_recomputes_prompt_and_answer(speculation: Chain | None) -> None:
    old, new = (make_request(i, prompt=16, output=24) for i in range(2))
    served = serve([old, new], VLLM(block_size=8), speculation=speculation, pool_tokens=56)
    assert_served(served)
    assert old.preemptions == 0 and new.preemptions >= 1
    first, *again = [chunk for step in served.seen for chunk in step.chunks if chunk[0] == new.id]
    assert first == (1, 0, 16)
    assert len(again) == new.preemptions and all(done == 0 and tokens > 16 for _, done, tokens in again)
    assert new.first_token_s == served.log.steps[0].end_s
    assert old.finished_s is not None and new.finished_s is not None and old.finished_s < new.finished_s


def test_a_preempted_request_keeps_its_first_admission() -> None:
    requests = [make_request(i, prompt=16, output=40) for i in range(3)]
    serve(requests, VLLM(block_size=8), pool_tokens=88)
    assert [request.admitted_s for request in requests] == [0.0, 0.0, 0.0]
    assert requests[2].preemptions > 0
