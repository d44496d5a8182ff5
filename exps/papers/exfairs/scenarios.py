"""ExFairS on the scenarios of its artifact: those of early December 2025, and those of its last commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Caption
from exps.papers.exfairs.claims import scenario_claims
from exps.papers.exfairs.measures import measure
from exps.papers.exfairs.setup import BY_SEATS, SYSTEMS, TESTBED, scenario_timetable


def _figure(generation: str, title: str, count: int) -> Figure:
    """A figure over the scenarios 1 to ``count``."""
    names: Sequence[str] = [f"{generation}-{number}" for number in range(1, count + 1)]

    def timetable(platform: Platform, number: float, options: Options) -> pl.DataFrame:
        return scenario_timetable(f"{generation}-{number:g}", options)

    def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
        """All sheets of the first scenario that was run in each setting, and of the others the comparison."""
        from exps.papers.exfairs.pictures import draw_comparison, draw_scenario

        paths: list[Path] = []
        for part in metrics.partition_by("setting", "scenario", maintain_order=True):
            name = f"{generation}-{part['scenario'][0]:g}-{part['setting'][0]}"
            first = part["scenario"][0] == metrics.filter(setting=part["setting"][0])["scenario"][0]
            paths += (draw_scenario if first else draw_comparison)(part, name, caption, folder, suffix)
        return paths

    return Figure(
        id=f"exfairs/{generation}",
        title=title,
        platforms=(TESTBED,),
        settings=BY_SEATS,
        systems=SYSTEMS,
        sweep=Sweep("scenario", dict.fromkeys((setting.name for setting in BY_SEATS), tuple(map(float, range(1, count + 1))))),
        calibrations=("first-principles",),
        timetable=timetable,
        measure=measure,
        draw=draw,
        claims=scenario_claims(names),
        point_seconds=0.3,
        point_bytes=120_000,
    )


EARLY = _figure("early", "Six scenarios of early December 2025: balanced, imbalanced, heterogeneous, many clients", 6)
DEC = _figure("dec", "Five scenarios of the last commit, 128 requests a minute", 5)
