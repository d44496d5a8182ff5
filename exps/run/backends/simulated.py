"""The simulator."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.figure import Figure, Platform
from exps.run.backends.base import Backend
from exps.run.serving import Outcome, Setup
from hosting.engines import Found


class SimulatedBackend(Backend):
    """Serves any platform that has a profile, on any machine; the same command gives the same bytes."""

    name = "sim"
    label = "SIMULATION, not a measurement"
    simulates = True
    alone = False
    roots = ("exps/run/simulation.py",)

    def made_for(self, platform: Platform) -> bool:
        return not platform.local

    def refuses(self, platform: Platform) -> str | None:
        return None

    def hindrance(self, engine: Found | None) -> str | None:
        return None

    def platforms(self, figure: Figure) -> Sequence[Platform]:
        return figure.published_platforms

    def serve(self, timetable: pl.DataFrame, setup: Setup) -> Outcome:
        from exps.run.simulation import simulate

        return simulate(timetable, setup)

    def seconds(self, figure: Figure, timetable: pl.DataFrame, until_s: float | None) -> float:
        return figure.point_seconds
