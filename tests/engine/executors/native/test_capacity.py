"""The KV cache is as large as it has to be from the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.base import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.errors import InputError
from engine.executors.native.capacity import BLOCK_SIZE, Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.sequences import Sequences
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.request import FINISHED, Request
from engine.roles import Choice, Policies
from engine.speculation.adaserve import AdaServe
from engine.speculation.base import Speculation
from engine.speculation.chain import Chain
from engine.speculation.specinfer import SpecInfer
from engine.system import PRESETS
from tests.engine.executors.native.pairs import CheckedEngine, ask, make_pair
from tests.engine.strategies import Log, make_progress, make_request

PAIR = make_pair()
LATENCY = {"verify_tokens": [0, 512], "verify_s": [0.03, 0.06]}


@st.composite
def capacities(draw: st.DrawFn) -> Capacity:
    pool_block = draw(st.sampled_from((1, 2, 3, 4, 8, 12, 16, 24, 32, 48)))
    pool = BlockPool(draw(st.integers(pool_block, 600)), pool_block)
    return Capacity(pool.tokens, draw(st.integers(1, pool.capacity)), draw(st.integers(0, 70)), pool_block)


@settings(deadline=None, max_examples=200)
@given(capacity=capacities(), data=st.data())
def test_whatever_the_pool_hands_out_fits_with_all_drafts(capacity: Capacity, data: st.DataObject) -> None:
    """Requests come, grow and leave as the pool allows, and draft all they may at any time."""
    pool = BlockPool(capacity.kv_tokens, capacity.pool_block)
    sequences = Sequences(capacity.kv_tokens, capacity.blocks, BLOCK_SIZE, capacity.draft_tokens)
    held: dict[int, tuple[Request, int]] = {}
    for number in range(data.draw(st.integers(1, 40))):
        blocks = data.draw(st.integers(1, max(1, min(pool.free, 6))))
        leaving = list(held) and data.draw(st.booleans())
        if blocks <= pool.free and len(held) < capacity.max_sequences:
            held[number] = make_request(number, prompt=1), blocks
            pool.take(blocks)
            sequences.join(held[number][0])
        elif held and (leaving or pool.free == 0):
            request, blocks = held.pop(data.draw(st.sampled_from(sorted(held))))
            pool.give(blocks)
            sequences.leave(request)
        elif held:
            chosen = data.draw(st.sampled_from(sorted(held)))
            pool.take(blocks)
            held[chosen] = held[chosen][0], held[chosen][1] + blocks
        reserve(sequences, [(request, blocks * capacity.pool_block) for request, blocks in held.values()], capacity)


def reserve(sequences: Sequences, tokens: Sequence[tuple[Request, int]], capacity: Capacity) -> None:
    rows = sequences.rows([request for request, _ in tokens])
    sequences.reserve(rows, np.array([count + capacity.draft_tokens for _, count in tokens], np.int64))
    sequences.check()


@pytest.mark.parametrize("pool_block", [1, 4, 16, 24])
@pytest.mark.parametrize("drafts", [0, 1, 7, 24, 64])
def test_no_block_is_kept_for_nothing(pool_block: int, drafts: int) -> None:
    """Some sequences round up so badly that they take every block."""
    worst = max(range(pool_block, 50 * pool_block, pool_block), key=lambda x: -((x + drafts) % -BLOCK_SIZE))
    capacity = Capacity(10 * worst, 10, drafts, pool_block)
    sequences = Sequences(1000, capacity.blocks, BLOCK_SIZE, drafts)
    requests = [make_request(i, prompt=1) for i in range(10)]
    for request in requests:
        sequences.join(request)
    reserve(sequences, [(request, worst) for request in requests], capacity)
    last = make_request(99, prompt=1)
    sequences.join(last)
    with pytest.raises(InputError, match="the KV cache is full: 1 blocks are needed and 0 of"):
        sequences.reserve(sequences.rows([last]), np.array([1]))


@pytest.mark.parametrize(
    ("batching", "speculation", "expected"),
    [
        (VLLM(max_sequences=20), None, Capacity(1000, 20, 0, 16)),
        (Sarathi(max_sequences=500, block_size=4), Chain(5), Capacity(1000, 250, 5, 4)),
        (SLoRA(max_sequences=2000), AdaServe(depth=(2, 4), width=(1, 3)), Capacity(1000, 1000, 12, 1)),
        (VLLM(), SpecInfer((2, 3)), Capacity(1000, 62, 12, 16)),
    ],
)
def test_policies_say_what_they_need(batching: Batching, speculation: Speculation | None, expected: Capacity) -> None:
    assert Capacity.of(1000, Policies(FCFS(), batching, speculation)) == expected


@pytest.mark.parametrize("system", [name for name, made in PRESETS.items() if made.choices["speculation"] != Choice("off")])
@given(rows=st.integers(1, 300))
def test_no_shape_is_larger_than_announced(system: str, rows: int) -> None:
    speculation = PRESETS[system].build({"speculation": LATENCY}).speculation
    assert speculation is not None and speculation.shape(make_progress([0.1], [1])) is not None
    shape = speculation.shape(make_progress([0.1] * rows, [1] * rows))
    assert shape is None or shape.depth * shape.width <= speculation.most_draft_tokens


@pytest.mark.parametrize("speculation", [None, Chain(8), AdaServe(width=(3, 3)), SpecInfer((3, 3, 2))])
@pytest.mark.parametrize("batching", [VLLM(max_sequences=6), Sarathi(token_budget=40, block_size=4), SLoRA(adapter_tokens=0)])
def test_the_cache_is_the_same_after_a_crowded_run(batching: Batching, speculation: Speculation | None) -> None:
    executor = PAIR.executor_for(200, Policies(FCFS(), batching, speculation))
    before = [(runner.kv.data.data_ptr(), runner.kv.data.shape) for runner in executor.runners()]
    work = [ask(i, range(1 + 9 * i % 40), 30) for i in range(12)]
    serve(executor, batching, speculation, work)
    assert all(request.status == FINISHED for request in work)
    assert [(runner.kv.data.data_ptr(), runner.kv.data.shape) for runner in executor.runners()] == before


def serve(executor: NativeExecutor, batching: Batching, speculation: Speculation | None, work: Sequence[Request]) -> Engine:
    engine = CheckedEngine(Policies(FCFS(), batching, speculation), executor, BlockPool(200, batching.block_size), Log())
    engine.run(work)
    return engine


class Unannounced(Speculation):
    """Drafts more than it says."""

    most_draft_tokens = 4

    def shape(self, progress: Progress) -> DraftShape:
        return DraftShape(40, 8, 1000)

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        return TokenTrees(candidates, candidates.probability > 0)


def test_a_cache_that_is_full_is_an_error_and_no_larger_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.audit.is_foreign", lambda policy: False)
    batching = VLLM(max_sequences=2)
    executor = PAIR.executor_for(40, Policies(FCFS(), batching, Unannounced()))
    blocks = executor.sequences.blocks
    with pytest.raises(InputError, match="KV"):
        serve(executor, batching, Unannounced(), [ask(0, range(9), 20)])
    assert {runner.kv.blocks for runner in executor.runners()} == {blocks}
