"""The host's time is found in steps that have it, and counted from the end of the step before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Batch
from engine.core import Engine
from engine.executors.simulated.clock import VirtualClock
from engine.executors.simulated.cost import Line, StepCost
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.plan import StepPlan, StepResult
from engine.request import Request
from engine.system import parse_system
from exps.calibrate.served import Beside, Step, host_time
from tests.engine.strategies import Log


class Moving(VirtualClock):
    """A clock that has moved on by the time a step is told, as a wall clock has."""

    def advance(self, elapsed_s: float) -> None: ...


class Timed(SimulatedExecutor):
    def __init__(self, cost: StepCost):
        super().__init__(cost, None, seed=0)
        self.clock = Moving()

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        result = super().forward(plan, batch)
        self.clock.wait_until(self.clock.now + result.elapsed_s)
        return result


BARE = {"line": Line((1.0, 64.0), (0.01, 0.02)), "context_s": 1e-6}


@given(st.floats(0, 0.01), st.floats(0, 0.001))
def test_it_is_found_exactly(step_s: float, sequence_s: float) -> None:
    runs = [[Step(0.02 + step_s + n * sequence_s, 0.02, n) for n in (1, 5, 9)], [Step(0.03 + step_s + sequence_s, 0.03, 1)]]
    assert host_time(runs) == pytest.approx((step_s, sequence_s), abs=1e-9)


def test_a_cost_model_that_takes_too_long_leaves_none() -> None:
    assert host_time([[Step(0.01, 0.02, 1), Step(0.01, 0.02, 2)]]) == (0.0, 0.0)
    assert host_time([]) == (0.0, 0.0)


@pytest.mark.parametrize("system", ["vllm", "sarathi"])
def test_served_steps_tell_of_it_and_sleep_does_not_count(system: str) -> None:
    policies = parse_system(system).build({})
    beside = Beside(Timed(StepCost(**BARE, host_s=0.003, sequence_s=0.0002)), StepCost(**BARE))
    requests = [Request(i, "a", 20, 8, 0.01 * i if i < 6 else 5.0) for i in range(8)]
    Engine(policies, beside, BlockPool(4000, policies.batching.block_size), Log(), stretches=False).run(requests)
    assert host_time([beside.steps]) == pytest.approx((0.003, 0.0002), rel=1e-6)
