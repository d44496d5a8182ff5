"""The native executor keeps the contract of all executors, and has its own clock."""

from __future__ import annotations

import pytest

from engine.batch import Batch
from engine.core import Engine
from engine.errors import InputError
from engine.executors.native.capacity import Capacity
from engine.executors.native.clock import WallClock
from engine.executors.native.executor import NativeExecutor
from engine.plan import Candidates, Chunk, DraftShape, StepPlan, StepResult, TokenTrees
from engine.request import Request
from engine.sampling import Sampling
from tests.engine.contract import ExecutorContract, prefilled
from tests.engine.executors.native.pairs import ask, make_pair, serve
from tests.engine.strategies import VOCABULARY, make_request

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


def test_trees_over_other_candidates_than_the_drafts_are_an_error() -> None:
    """Those have no tokens."""
    executor, batch, shape = PAIR.executor(), Batch(), DraftShape(2, 1, 9)
    batch.add(prefilled(executor, make_request()))
    drafts = executor.draft(batch, shape)
    trees = TokenTrees(Candidates(drafts.probability, drafts.parent), drafts.probability > 0)
    with pytest.raises(InputError, match="over other candidates than were drafted"):
        executor.forward(StepPlan(decode=True, draft=shape, trees=trees), batch)


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


@pytest.mark.parametrize("system", ["vllm", "sarathi", "vllm-spec-4", "adaserve", "tree"])
def test_the_tokens_of_all_steps_are_the_answers(system: str) -> None:
    """Also of requests that are pre-empted, stop early or are computed in chunks."""
    streamed: dict[int, list[int]] = {}

    def listen(engine: Engine) -> None:
        forward = engine.executor.forward

        def heard(plan: StepPlan, batch: Batch) -> StepResult:
            result = forward(plan, batch)
            assert result.tokens is not None
            for id, tokens in result.tokens.items():
                streamed.setdefault(id, []).extend(tokens)
            if result.accepted is not None:
                assert [len(result.tokens[request.id]) for request in batch.requests] == result.accepted.tolist()
            return result

        engine.executor.forward = heard  # type: ignore[method-assign]

    work = [ask(i, [(5 * i + j) % VOCABULARY for j in range(9 + 7 * i)], 40, Sampling(stop_ids=(33,))) for i in range(8)]
    serve(PAIR, work, system, 200, listen)
    assert sum(request.preemptions for request in work) > 0 and any(request.generated < 40 for request in work)
    assert streamed == {request.id: list(request.output_ids) for request in work}
