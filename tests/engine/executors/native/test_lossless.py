"""Whatever is speculated, batched or pre-empted, greedy answers are those of plain greedy decoding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.request import FINISHED, Request
from engine.roles import Policies
from engine.speculation import Speculation
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.specinfer import SpecInfer
from tests.engine.executors.native.pairs import Pair, ask, assert_greedy, make_pair, serve
from tests.engine.strategies import VOCABULARY

PAIR = make_pair()
SMALLEST_POOL = 160

SPECULATIONS: dict[str, Callable[[st.DrawFn], Speculation | None]] = {
    "plain": lambda draw: None,
    "chain": lambda draw: Chain(draw(st.integers(1, 8))),
    "adaserve": lambda draw: AdaServe(
        budget=draw(st.sampled_from((1, 7, 24, 256))),
        depth=(draw(st.integers(1, 3)), draw(st.integers(3, 6))),
        width=(1, draw(st.integers(1, 4))),
        slo_selection=draw(st.booleans()),
    ),
    "tree": lambda draw: SpecInfer(tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))),
}


@st.composite
def batchings(draw: st.DrawFn) -> Batching:
    block_size, most = draw(st.sampled_from((1, 4, 16))), draw(st.integers(1, 8))
    kind = draw(st.sampled_from(("vllm", "sarathi", "slora")))
    if kind == "vllm":
        return VLLM(max_sequences=most, max_batched_tokens=draw(st.integers(1, 200)), block_size=block_size)
    if kind == "sarathi":
        return Sarathi(token_budget=draw(st.integers(1, 200)), max_sequences=most, block_size=block_size)
    return SLoRA(longest_request=100, adapter_tokens=0, max_sequences=most)


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=60)
    rows = draw(st.lists(st.tuples(prompts, st.integers(1, 40), st.sampled_from("abc")), min_size=1, max_size=8))
    return [ask(i, prompt, output, client=client) for i, (prompt, output, client) in enumerate(rows)]


@pytest.mark.parametrize("speculation", SPECULATIONS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_answers_are_those_of_plain_greedy_decoding(speculation: str, data: st.DataObject) -> None:
    work, batching = data.draw(requests()), data.draw(batchings())
    ordering = data.draw(st.sampled_from((FCFS, VTC)))()
    chosen = data.draw(st.composite(SPECULATIONS[speculation])())
    pool_tokens = data.draw(st.integers(SMALLEST_POOL, 600))
    serve(PAIR, work, Policies(ordering, batching, chosen), pool_tokens)
    for request in work:
        assert request.status == FINISHED
        assert_greedy(PAIR, request)


LARGE_TREE = "vllm,spec=specinfer(branching=3;3;3;2)"
SYSTEMS = ["vllm", "sarathi", "vllm-spec-4", "vllm-spec-8", "adaserve", "vtc", "order=vtc,spec=adaserve",
           "order=vtc,spec=chain,batch=sarathi(token_budget=40)", "tree", LARGE_TREE]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("pool_tokens", [2000, 300])
def test_a_crowd_of_long_requests_is_answered_greedily(system: str, pool_tokens: int) -> None:
    work = crowd(12)
    serve(PAIR, work, system, pool_tokens)
    for request in work:
        assert request.status == FINISHED
        assert_greedy(PAIR, request)
    if pool_tokens == 300 and system not in ("vtc",):
        assert sum(request.preemptions for request in work) > 0
    if "spec" in system or system in ("adaserve", "tree"):
        accepted = sum(request.accepted_tokens for request in work)
        assert 0 < accepted < sum(request.drafted_tokens for request in work)


@pytest.mark.parametrize("tokens", [1, 4])
def test_a_draft_that_is_the_target_is_always_right(tokens: int) -> None:
    pair = Pair(PAIR.target, PAIR.target)
    work = crowd(4)
    serve(pair, work, f"vllm,spec=chain(tokens={tokens})")
    for request in work:
        assert_greedy(pair, request)
        assert request.steps == -(-(request.output_tokens - 1) // (tokens + 1))


def test_a_wrong_cache_would_be_noticed() -> None:
    """The comparison fails when the accepted nodes' keys and values stay where the tree left them."""
    work = crowd(6)

    def break_it(engine: object) -> None:
        engine.executor._compact = lambda *arguments: None  # type: ignore[attr-defined]

    serve(PAIR, work, "tree", prepare=break_it)
    with pytest.raises(AssertionError, match="apart"):
        for request in work:
            assert_greedy(PAIR, request)


def crowd(count: int) -> list[Request]:
    generator = torch.Generator().manual_seed(3)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    return [
        ask(i, torch.randint(VOCABULARY, (number(1, 60),), generator=generator).tolist(), number(20, 60), client="ab"[i % 2])
        for i in range(count)
    ]
