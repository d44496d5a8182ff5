"""ExFairS over the seats of its server: where requests wait, an order can make a difference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Setting, Sweep
from exps.figures.pictures import Caption
from exps.papers.exfairs.measures import sweep_measure
from exps.papers.exfairs.setup import (
    BATCHING,
    BOUNDED_SEQUENCES,
    CONTINUOUS,
    EXFAIRS,
    FCFS,
    PENALIZED,
    PLACES,
    ROUND_ROBIN,
    ROUNDS,
    SEATS,
    TESTBED,
    VTC,
    scenario_timetable,
)
from plots.axes import Axis

COUNTS = tuple(float(count) for count in (8, 12, BOUNDED_SEQUENCES, 24, 32, 48, 64, SEATS))
SCENARIOS = tuple(Setting(name, name, BATCHING, ROUNDS) for name in dict.fromkeys(PLACES.values()))
SHOWN = {"mean_queue_s": "Mean wait for a seat (s)", "violation_share": "Share that violates its SLO"}


def timetable(platform: Platform, seats: float, options: Options) -> pl.DataFrame:
    """The scenario of the setting's name."""
    return scenario_timetable(platform.setting.name, options)


def policies(seats: float) -> Mapping[str, Mapping[str, Any]]:
    return {BATCHING: {"max_sequences": int(seats)}}


def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """Above the wait for a seat, below the share violated; a column a scenario."""
    from exps.papers.exfairs.pictures import SHARE, system_strokes
    from plots.sheets import line_sheet

    shown = [setting for setting in SCENARIOS if setting.name in set(metrics["setting"])]
    rows = metrics.pivot(on="setting", index=["system", "seats"], values=list(SHOWN), separator=" ", maintain_order=True)
    if len(shown) == 1:
        rows = rows.rename({metric: f"{metric} {shown[0].name}" for metric in SHOWN if metric in rows.columns})
    panels = [
        Axis(f"{metric} {setting.name}", f"{setting.name}: {label}", (0, None) if metric == "mean_queue_s" else SHARE)
        for metric, label in SHOWN.items()
        for setting in shown
    ]
    return list(
        line_sheet(
            rows,
            panels,
            columns=len(shown),
            x=Axis("seats", "Requests at a time"),
            series="system",
            strokes=system_strokes(metrics["system"].unique(maintain_order=True).to_list()),
            path=folder / f"seats-{suffix}",
            title="Where nobody waits for a seat all orders are alike",
            footer=caption(metrics),
            whole=False,
        )
    )


SEATS_FIGURE = Figure(
    id="exfairs/seats",
    title="Waiting and violations over the seats of the server",
    platforms=(TESTBED,),
    settings=SCENARIOS,
    systems=(EXFAIRS, PENALIZED, CONTINUOUS, VTC, FCFS, ROUND_ROBIN),
    sweep=Sweep("seats", dict.fromkeys((setting.name for setting in SCENARIOS), COUNTS)),
    calibrations=("first-principles",),
    timetable=timetable,
    measure=sweep_measure,
    draw=draw,
    point_seconds=0.25,
    point_bytes=120_000,
    policies=policies,
)
