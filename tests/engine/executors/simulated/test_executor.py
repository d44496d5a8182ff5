"""The simulated executor keeps the contract of all executors."""

from __future__ import annotations

import pytest

from engine.batch import Batch
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.clock import VirtualClock
from engine.executors.simulated.executor import SimulatedExecutor
from engine.plan import DECODE, DraftShape
from tests.engine.contract import ExecutorContract
from tests.engine.strategies import COST, make_request


class TestSimulated(ExecutorContract):
    def make_executor(self) -> SimulatedExecutor:
        return SimulatedExecutor(COST, AcceptanceModel(0.7), seed=0)


def test_the_virtual_clock_moves_only_when_told() -> None:
    clock = VirtualClock()
    clock.advance(1.5)
    clock.wait_until(1.0)
    assert clock.now == 1.5
    clock.wait_until(2.0)
    assert clock.now == 2.0


def test_only_the_first_step_is_cold() -> None:
    executor = SimulatedExecutor(COST, None, seed=0, cold_start_s=0.7)
    batch = Batch()
    batch.add(make_request(produced=1, first_token_s=0.0))
    first, second = (executor.forward(DECODE, batch).elapsed_s for _ in range(2))
    assert first - second == pytest.approx(0.7)


def test_drafting_without_a_draft_model_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="needs a deployment with a draft model"):
        SimulatedExecutor(COST, None, seed=0).draft(Batch(), DraftShape(1, 1, 1))
