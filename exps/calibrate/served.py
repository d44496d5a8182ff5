"""What a served step takes beyond the profile's tight loops: the host's time for it, and for each of its sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import polars as pl
from scipy.optimize import nnls

from engine.batch import Batch
from engine.executors.base import Executor
from engine.executors.simulated.cost import StepCost
from engine.executors.simulated.engines import engine_of
from engine.plan import DraftShape, Selection, StepPlan, StepResult
from exps.calibrate.tuning import SEED
from exps.figures.figure import Options, Platform, Point
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.workloads import middle_rate
from exps.run.local import MEASURED
from exps.run.native.serving import serve_natively
from exps.run.plan import setup_of
from exps.run.watching import Watching

SERVED, SERVED_S, QUICK_SERVED_S = ("vllm", "vllm-spec-4"), 12.0, 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds that a step took, from the end of the one before it, and that a cost model says; its ``sequences``."""

    took_s: float
    said_s: float
    sequences: int


class Beside(Watching):
    """Every step is held against a cost model that leaves the host's time out.

    A step counts from the end of the one before, since what the engine does between them holds up requests too; the first
    after nobody ran is left out, for the engine may have slept.
    """

    def __init__(self, inner: Executor, cost: StepCost):
        super().__init__(inner)
        self._cost, self._ended_s = cost, inf
        self.steps: list[Step] = []

    def draft_and_select(self, batch: Batch, shape: DraftShape, rule: Selection | None) -> bool:
        return self.inner.draft_and_select(batch, shape, rule)

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        result, now = self.inner.forward(plan, batch), self.clock.now
        if len(batch) and now > self._ended_s:
            sequences = (len(batch) if plan.decode else 0) + len(plan.prefill)
            self.steps.append(Step(now - self._ended_s, self._cost.seconds(plan, batch), sequences))
        self._ended_s = now
        return result


def host_time(runs: Iterable[Sequence[Step]]) -> tuple[float, float]:
    """Seconds of a step, and of each of its sequences, that explain most of what the cost model leaves out, neither below 0.

    Every run counts alike, however many steps it has.
    """
    rows, excess = [], []
    for steps in runs:
        weight = 1 / np.sqrt(max(1, len(steps)))
        rows += [[weight, weight * step.sequences] for step in steps]
        excess += [weight * (step.took_s - step.said_s) for step in steps]
    if not rows:
        return 0.0, 0.0
    (step_s, sequence_s), _ = nnls(np.array(rows), np.array(excess))
    return float(step_s), float(sequence_s)


def host_time_of(platform: Platform, options: Options) -> dict[str, float]:
    """``host_time`` of plain steps and of a chain's, at a middle rate of Figure 8's workload on this machine, drawn from
    another seed than any figure's; by the names of a calibration."""
    asked = replace(options, seed=SEED, calibration=MEASURED, backend="native")
    load = FIG8.timetable(platform, middle_rate(platform, asked), asked)
    load = load.filter(pl.col("arrival_s") < (QUICK_SERVED_S if options.quick else SERVED_S))
    step_s, sequence_s = host_time(_steps(platform, asked, system, load) for system in SERVED)
    return {"host_s": step_s, "sequence_s": sequence_s}


def _steps(platform: Platform, options: Options, system: str, load: pl.DataFrame) -> list[Step]:
    """The steps of one system that serves ``load``."""
    setup = setup_of(Point(FIG8, platform, system, 0.0), options)
    deployment = setup.deployment()
    bare = replace(deployment.calibration(MEASURED), host_s=0.0, sequence_s=0.0)
    speculation = setup.system.build(setup.parameters(deployment)).speculation
    cost = replace(deployment, calibrations={MEASURED: bare}).step_cost(engine_of(speculation), MEASURED)
    watching: list[Beside] = []

    def beside(executor: Executor) -> Executor:
        watching.append(Beside(executor, cost))
        return watching[-1]

    serve_natively(load, setup, beside)
    return watching[-1].steps
