"""ExFairS over the SLOs, the load and alpha, with as many requests at a time as published and with the fewest allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from exps.figures.claims import Claim
from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Caption
from exps.papers.exfairs.measures import sweep_measure
from exps.papers.exfairs.setup import (
    CONTINUOUS,
    EXFAIRS,
    FCFS,
    JUSTITIA,
    PENALIZED,
    PLACES,
    ROUND_ROBIN,
    SETTINGS,
    SLO_GREEDY,
    TESTBED,
    VTC,
    scenario_timetable,
)
from exps.papers.exfairs.sweep_claims import ALPHA_CLAIMS, LOAD_CLAIMS, SLO_CLAIMS
from plots.axes import Axis

SLO_SCALES = (0.5, 1.0, 2.0, 3.0)
LOADS = (0.4, 0.6, 0.8, 1.0, 1.2)
ALPHAS = (0.0, 0.3, 0.5, 0.7, 1.0)
SWEEP_IN = 2.0
LABELS = {"slo_scale": "SLOs, times the published ones", "load": "Load, times the published rates", "alpha": "alpha"}


def _alpha_policies(alpha: float) -> Mapping[str, Mapping[str, Any]]:
    return {"exfairs": {"alpha": alpha}}


def _draw(metrics: pl.DataFrame, axis: str, caption: Caption, path: Path) -> list[Path]:
    """The share violated, a panel a place and a curve a strategy."""
    from exps.papers.exfairs.pictures import SHARE, system_strokes
    from plots.sheets import line_sheet

    rows = metrics.pivot(on="setting", index=["system", axis], values="violation_share")
    shown = [setting for setting in SETTINGS if setting.name in rows.columns]
    return list(
        line_sheet(
            rows,
            [Axis(setting.name, setting.title, SHARE) for setting in shown],
            columns=len(shown),
            x=Axis(axis, LABELS[axis]),
            series="system",
            strokes=system_strokes(metrics["system"].unique(maintain_order=True).to_list()),
            path=path,
            title="Share of the submitted requests that violate their SLO",
            footer=caption(metrics),
            whole=False,
            panel_in=SWEEP_IN,
        )
    )


def sweep_figure(
    name: str, title: str, axis: str, values: tuple[float, ...], systems: tuple[str, ...], claims: tuple[Claim, ...]
) -> Figure:
    """The share violated over ``values`` of an axis, which is the load, the scale of the SLOs or a parameter of a policy."""

    def timetable(platform: Platform, x: float, options: Options) -> pl.DataFrame:
        chosen = {axis: x} if axis in ("load", "slo_scale") else {}
        return scenario_timetable(PLACES[platform.setting.name], options, **chosen)

    def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
        return _draw(metrics, axis, caption, folder / f"{name}-{suffix}")

    return Figure(
        id=f"exfairs/{name}",
        title=title,
        platforms=(TESTBED,),
        settings=SETTINGS,
        systems=systems,
        sweep=Sweep(axis, {setting.name: values for setting in SETTINGS}),
        calibrations=("first-principles",),
        timetable=timetable,
        measure=sweep_measure,
        draw=draw,
        claims=claims,
        point_seconds=0.25,
        point_bytes=120_000,
        policies=_alpha_policies if axis == "alpha" else None,
    )


MAIN = (EXFAIRS, CONTINUOUS, VTC, FCFS, ROUND_ROBIN)
WITH_SLOS = (*MAIN, JUSTITIA, SLO_GREEDY)
SWEEP_FIGURES = (
    sweep_figure("slo-sweep", "Violations over the scale of the SLOs", "slo_scale", SLO_SCALES, WITH_SLOS, SLO_CLAIMS),
    sweep_figure("load-sweep", "Violations over the load", "load", LOADS, (*MAIN, PENALIZED), LOAD_CLAIMS),
    sweep_figure("alpha", "Violations over alpha", "alpha", ALPHAS, (EXFAIRS, PENALIZED), ALPHA_CLAIMS),
)
