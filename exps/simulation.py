"""One simulated run: a timetable and a setup in, records out."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from engine.executors.simulated.executor import SimulatedExecutor
from engine.executors.simulated.profiles import Deployment, load_acceptance
from engine.request import Request
from engine.system import parse_system
from exps.serving import Outcome, Setup, serve

MEASURED_ON = "tiny"


def simulate(timetable: pl.DataFrame, setup: Setup, deployment: Deployment | None = None) -> Outcome:
    """Serve ``timetable`` on the simulator.

    ``deployment`` replaces the profiles that ``setup`` names (fitting tries out numbers this way). The same arguments
    give the same records.
    """
    deployment = deployment or setup.deployment()
    acceptance = load_acceptance(MEASURED_ON) if setup.acceptance else deployment.calibration(setup.calibration).acceptance
    executor = SimulatedExecutor(
        deployment.step_cost(parse_system(setup.system).speculation.name, setup.calibration),
        acceptance,
        seed=setup.seed,
        cold_start_s=setup.cold_start_s,
    )
    return serve(timetable, setup, deployment, executor, requests_of(timetable))


def requests_of(timetable: pl.DataFrame) -> Iterator[Request]:
    """The rows of a timetable as requests, made as they are read; ``id`` is the row."""
    columns = ("client", "prompt_tokens", "output_tokens", "arrival_s", "slo_tpot_s", "category", "app")
    frame = timetable.select(*columns, "interaction", "call", "adapter")
    row = 0
    for part in frame.iter_slices(8192):
        for values in part.iter_rows():
            yield Request(row, *values)
            row += 1
