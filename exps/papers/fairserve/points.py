"""What FairServe's figures share: the production workload at four limits, the systems and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from exps.figures.claims import Claim
from exps.figures.figure import Figure, Options, Platform, Record, Setting, Sweep
from exps.figures.pictures import Draw
from exps.papers.fairserve.server import CALIBRATION, PLATFORMS, POOL_TOKENS, SETTINGS

LIMITS = (10.0, 50.0, 100.0, 500.0)
LIMIT = 50.0
QUICK_REQUESTS = 1000
POINTS = "fairserve/table1"
SWEEP = Sweep("limit", {setting.name: LIMITS for setting in SETTINGS}, quick=(LIMIT,))
THROTTLING = Sweep("limit", {setting.name: LIMITS[:3] for setting in SETTINGS}, quick=(LIMIT,))
AT_LIMIT = Sweep("limit", {setting.name: (LIMIT,) for setting in SETTINGS})

RPM, VTC, FAIRSERVE, WSC = "rpm-interactions", "vtc", "fairserve", "fs-fair-wsc-expect"
W, WO, WOI = "fs-fair-wsc", "fs-fair-odt-wsc-limit", "fs-fair-interaction-limit"
NO_REPAY, WL = "fs-fair-interaction-limit-worpmdebt", "fs-fair-wsc-limit"
TITLES = {
    RPM: "RPM", VTC: "VTC", WSC: "WSC, no throttling", FAIRSERVE: "FairServe", W: "FS (W)", WO: "FS (W+O)",
    WOI: "FS (W+O+I)", NO_REPAY: "FS, debts kept", WL: "FS (W+L)",
}


def limited(limit: float) -> Mapping[str, Mapping[str, Any]]:
    """Every system's limit of requests a minute."""
    return {name: {"limit": int(limit)} for name in ("rpm", "fairserve")}


def timetable(platform: Platform, limit: float, options: Options) -> pl.DataFrame:
    """The trace from production, or requests drawn with its statistics: 71 s of requests that take 400 s to serve."""
    frame = workload(options.traces, options.seed)
    return frame.head(QUICK_REQUESTS) if options.quick else frame


@lru_cache(maxsize=2)
def workload(traces: Path | None, seed: int) -> pl.DataFrame:
    """The workload of every point."""
    from exps.workload.fairserve_drawn import drawn_timetable
    from exps.workload.fairserve_raw import trace_timetable

    return trace_timetable(traces) if traces else drawn_timetable(seed)


def figure(
    name: str,
    title: str,
    systems: tuple[str, ...],
    sweep: Sweep,
    measure: Callable[[Sequence[Record]], pl.DataFrame],
    draw: Draw,
    claims: tuple[Claim, ...] = (),
    settings: tuple[Setting, ...] = SETTINGS,
    timetable: Callable[[Platform, float, Options], pl.DataFrame] = timetable,
) -> Figure:
    """A figure on the production workload; its points are those of ``POINTS``."""
    return Figure(
        id=f"fairserve/{name}",
        title=title,
        platforms=PLATFORMS,
        settings=settings,
        systems=systems,
        sweep=sweep,
        calibrations=(CALIBRATION,),
        timetable=timetable,
        policies=limited,
        measure=measure,
        draw=draw,
        claims=claims,
        point_seconds=0.7,
        point_bytes=400_000,
        kv_tokens=POOL_TOKENS,
        has_traces=True,
        points_of=POINTS if POINTS != f"fairserve/{name}" else None,
    )
