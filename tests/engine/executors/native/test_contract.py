"""The native executor keeps the contract of all executors, and has its own clock."""

from __future__ import annotations

import pytest

from engine.batch import Batch
from engine.executors.native.capacity import Capacity
from engine.executors.native.clock import WallClock
from engine.executors.native.executor import NativeExecutor
from engine.plan import Chunk, DraftShape, StepPlan
from engine.request import Request
from tests.engine.contract import ExecutorContract, prefilled
from tests.engine.executors.native.pairs import make_pair
from tests.engine.strategies import make_request

PAIR = make_pair()


class TestNative(ExecutorContract):
    def make_executor(self) -> NativeExecutor:
        return PAIR.executor()


def test_the_wall_clock_moves_by_itself_and_only_forward() -> None:
    clock = WallClock()
    first = clock.now
    clock.advance(100.0)
    assert first <= clock.now < 50
    clock.wait_until(clock.now + 0.02)
    late = clock.now
    assert late >= first + 0.02
    clock.reset()
    assert clock.now < late


def test_drafting_without_a_draft_model_is_an_error() -> None:
    executor = NativeExecutor(PAIR.target, None, Capacity(400, 1))
    batch = Batch()
    batch.add(prefilled(executor, make_request()))
    with pytest.raises(RuntimeError, match="needs a draft model"):
        executor.draft(batch, DraftShape(1, 1, 1))


@pytest.mark.parametrize("ids", [None, [1, 2, 3]])
def test_a_prompt_without_its_tokens_is_an_error(ids: list[int] | None) -> None:
    request = Request(5, "a", 12, 4, 0.0, prompt_ids=ids)
    with pytest.raises(ValueError, match="request 5 has no prompt of 12 token ids"):
        PAIR.executor().forward(StepPlan(prefill=[Chunk(request, 0, 12)]), Batch())


def test_its_time_is_the_wall_clocks_and_counts_the_draft() -> None:
    executor = PAIR.executor()
    batch = Batch()
    batch.add(prefilled(executor, make_request()))
    before = executor.clock.now
    shape = DraftShape(4, 1, 5)
    executor.draft(batch, shape)
    drafted = executor.clock.now
    elapsed = executor.forward(StepPlan(decode=True), batch).elapsed_s
    assert drafted - before < elapsed <= executor.clock.now - before
