"""What every executor must do. A test class inherits ``ExecutorContract`` and says how to make one.

Every request is prefilled through ``forward`` before it decodes, and leaves through ``release``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from engine.batch import Batch
from engine.executors.base import Executor
from engine.plan import DECODE, Candidates, Chunk, DraftShape, StepPlan, StepResult, TokenTrees
from engine.request import Request
from tests.engine.strategies import make_request

SHAPES = [DraftShape(1, 1, 99), DraftShape(4, 1, 99), DraftShape(3, 2, 99), DraftShape(5, 3, 99)]


class ExecutorContract(ABC):
    """Plans run and take time, drafts are valid beams, acceptance stays inside the trees, the batch is left alone."""

    @abstractmethod
    def make_executor(self) -> Executor:
        """A fresh executor that can draft."""

    @pytest.fixture
    def executor(self) -> Executor:
        return self.make_executor()

    @pytest.fixture
    def batch(self, executor: Executor) -> Batch:
        batch = Batch()
        for i in range(5):
            batch.add(prefilled(executor, make_request(i, prompt=8 + i, output=2 + 3 * i)))
        return batch

    def test_the_clock_never_goes_back(self, executor: Executor) -> None:
        clock = executor.clock
        start = clock.now
        clock.wait_until(start - 1)
        assert clock.now >= start
        clock.wait_until(start + 0.01)
        assert clock.now >= start + 0.01
        before = clock.now
        clock.advance(0.5)
        assert clock.now >= before

    def test_a_prefill_takes_time_and_accepts_nothing(self, executor: Executor) -> None:
        result = executor.forward(StepPlan(prefill=[Chunk(make_request(99, prompt=12), 0, 12)]), Batch())
        assert result.elapsed_s > 0 and result.accepted is None

    def test_a_prefill_may_come_in_chunks(self, executor: Executor) -> None:
        request = make_request(99, prompt=12)
        for done, tokens in ((0, 5), (5, 7)):
            assert executor.forward(StepPlan(prefill=[Chunk(request, done, tokens)]), Batch()).elapsed_s > 0

    def test_prefills_ride_with_a_decode(self, executor: Executor, batch: Batch) -> None:
        late = make_request(99, prompt=12)
        for done, tokens in ((0, 5), (5, 7)):
            result = executor.forward(StepPlan(prefill=[Chunk(late, done, tokens)], decode=True), batch)
            assert result.elapsed_s > 0 and one_each(result, batch)
        batch.add(counted(late))
        assert one_each(executor.forward(DECODE, batch), batch)

    @pytest.mark.parametrize("plan", [DECODE, StepPlan(decode=True)])
    def test_a_decode_gives_every_row_one_token(self, executor: Executor, batch: Batch, plan: StepPlan) -> None:
        before = state(batch)
        result = executor.forward(plan, batch)
        assert result.elapsed_s > 0 and one_each(result, batch)
        assert state(batch) == before

    def test_releasing_a_request_that_never_came_changes_nothing(self, executor: Executor, batch: Batch) -> None:
        before = state(batch)
        executor.release(make_request(77))
        assert one_each(executor.forward(DECODE, batch), batch)
        assert state(batch) == before

    def test_a_released_request_leaves_the_others_and_may_come_again(self, executor: Executor, batch: Batch) -> None:
        (gone,) = batch.remove(np.array([2]))
        executor.release(gone)
        executor.release(gone)
        assert one_each(executor.forward(DECODE, batch), batch)
        batch.add(prefilled(executor, make_request(gone.id, prompt=20, output=9)))
        assert one_each(executor.forward(DECODE, batch), batch)

    @pytest.mark.parametrize("chunk", [3, 99])
    def test_a_preempted_request_is_computed_again_with_its_answer(
        self, executor: Executor, batch: Batch, chunk: int
    ) -> None:
        assert one_each(executor.forward(DECODE, batch), batch)
        batch.advance()
        done, request = batch.remove(np.array([0, 4]))
        executor.release(done)
        assert request.generated == 2 and request.prefill_tokens == request.prompt_tokens + 2
        executor.release(request)
        batch.add(prefilled(executor, request, chunk))
        shape = SHAPES[1]
        candidates = executor.draft(batch, shape)
        trees = TokenTrees(candidates, candidates.probability > 0)
        result = executor.forward(StepPlan(decode=True, draft=shape, trees=trees), batch)
        assert result.accepted is not None and (result.accepted >= 1).all() and (result.accepted <= batch.left).all()

    @pytest.mark.parametrize("shape", SHAPES)
    def test_drafts_are_valid_beams(self, executor: Executor, batch: Batch, shape: DraftShape) -> None:
        before = state(batch)
        candidates = executor.draft(batch, shape)
        assert candidates.probability.shape == (len(batch), shape.depth, shape.width)
        assert_valid_beam(candidates)
        assert state(batch) == before

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("deepest", [0, 1, 99])
    def test_acceptance_stays_inside_the_tree(
        self, executor: Executor, batch: Batch, shape: DraftShape, deepest: int
    ) -> None:
        candidates = executor.draft(batch, shape)
        selected = candidates.probability > 0
        selected[:, deepest:] = False
        before = state(batch)
        result = executor.forward(StepPlan(decode=True, draft=shape, trees=TokenTrees(candidates, selected)), batch)
        assert result.accepted is not None and result.elapsed_s > 0
        assert (result.accepted >= 1).all() and (result.accepted <= batch.left).all()
        assert (result.accepted <= 1 + min(deepest, shape.depth)).all()
        assert state(batch) == before


def prefilled(executor: Executor, request: Request, chunk: int = 99) -> Request:
    """The request after its prefill in chunks of ``chunk`` tokens, as the engine leaves it."""
    for done in range(0, request.prefill_tokens, chunk):
        tokens = min(chunk, request.prefill_tokens - done)
        executor.forward(StepPlan(prefill=[Chunk(request, done, tokens)]), Batch())
    return counted(request)


def counted(request: Request) -> Request:
    """The request with what its prefill brought: one more token."""
    request.prefilled = request.prefill_tokens
    request.produced += 1
    request.first_token_s = 0.0
    return request


def one_each(result: StepResult, batch: Batch) -> bool:
    return not result.ended and (result.accepted is None or result.accepted.tolist() == [1] * len(batch))


def state(batch: Batch) -> tuple[object, ...]:
    columns = tuple(getattr(batch, name).tolist() for name in Batch.COLUMNS)
    return columns, batch.tick, batch.version, dict(batch.by_client)


def assert_valid_beam(candidates: Candidates) -> None:
    """Probabilities descend in a layer and along a path; siblings stand in order of rank; parents exist."""
    probability, parent = candidates.probability, candidates.parent
    _, depth, width = probability.shape
    assert (probability >= 0).all() and (probability <= 1).all()
    assert (np.diff(probability, axis=2) <= 0).all()
    assert (parent >= 0).all() and (parent < width).all() and not parent[:, 0].any()
    for layer in range(1, depth):
        above = np.take_along_axis(probability[:, layer - 1], parent[:, layer], axis=1)
        assert (probability[:, layer] <= above).all()
        for place in range(width):
            children = np.where(parent[:, layer] == place, probability[:, layer], 0).sum(axis=1)
            assert (children <= probability[:, layer - 1, place] * (1 + 1e-12)).all()
