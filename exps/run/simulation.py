"""One simulated run: a timetable and a setup in, records out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import polars as pl

from engine.executors.simulated.adapter_cost import AdapterCost
from engine.executors.simulated.cost import StepCost
from engine.executors.simulated.engines import engine_of
from engine.executors.simulated.executor import SimulatedExecutor
from engine.executors.simulated.profiles import Deployment, load_acceptance
from engine.request import Expected, Request
from exps.run.serving import Outcome, Setup, serve
from exps.workload.timetable import EXPECTED

MEASURED_ON = "tiny"
COLUMNS = (
    "client", "prompt_tokens", "output_tokens", "arrival_s", "slo_tpot_s", "category", "app", "interaction", "call", "adapter",
)
OF_APPLICATIONS = ("calls", "system_tokens", "app_limit", "slo_s", "patience_s", *EXPECTED)


def simulate(timetable: pl.DataFrame, setup: Setup, deployment: Deployment | None = None) -> Outcome:
    """Serve ``timetable`` on the simulator.

    ``deployment`` replaces the profiles that ``setup`` names (fitting tries out numbers this way). The same arguments
    give the same records.
    """
    deployment = deployment or setup.deployment()
    acceptance = load_acceptance(MEASURED_ON) if setup.acceptance else deployment.calibration(setup.calibration).acceptance

    @cache
    def costs() -> tuple[StepCost, AdapterCost | None]:
        """The same for every replica."""
        policies = setup.system.build(setup.parameters(deployment))
        adapters = deployment.adapter_cost(policies.adapters) if policies.adapters else None
        return deployment.step_cost(engine_of(policies.speculation), setup.calibration), adapters

    def executor() -> SimulatedExecutor:
        cost, adapters = costs()
        return SimulatedExecutor(
            cost,
            acceptance,
            seed=setup.seed,
            cold_start_s=setup.cold_start_s,
            context=deployment.model.context,
            swap_token_s=deployment.swap_token_s,
            adapters=adapters,
        )

    return serve(timetable, setup, deployment, executor, requests_of(timetable))


def requests_of(timetable: pl.DataFrame) -> Iterator[Request]:
    """The rows of a timetable as requests, made as they are read; ``id`` is the row."""
    rows = _rows(timetable, COLUMNS)
    if all(timetable[name].null_count() == timetable.height for name in OF_APPLICATIONS):
        yield from (Request(row, *values) for row, values in enumerate(rows))
        return
    for row, (values, more) in enumerate(zip(rows, _rows(timetable, OF_APPLICATIONS), strict=True)):
        calls, system_tokens, app_limit, slo_s, patience_s, *usual = more
        request = Request(row, *values)
        request.calls, request.system_tokens, request.app_limit = calls, system_tokens or 0, app_limit
        request.slo_s, request.patience_s = slo_s, patience_s
        request.expected = None if None in usual else Expected(*usual)
        yield request


def _rows(timetable: pl.DataFrame, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """A part at a time, so that long timetables do not stand in memory as rows."""
    for part in timetable.select(columns).iter_slices(8192):
        yield from part.iter_rows()
