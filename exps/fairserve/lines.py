"""Service and response over time, and how fast answers come to each client."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.fairserve import claims
from exps.fairserve.measures import OUTPUT, SERVICE, TTFT, decode_distribution, of_points, over_time
from exps.fairserve.points import AT_LIMIT, FAIRSERVE, POINTS, RPM, SHARED, TITLES, VTC, WSC, limited, timetable
from exps.fairserve.server import SETTINGS
from exps.figure import Figure

QUANTITIES = {SERVICE: "Normalised service per second", OUTPUT: "Output tokens per second", TTFT: "Time to first token (s)"}
PANELS = {setting.name: setting.title for setting in SETTINGS}


def draw_over_time(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """A picture for each quantity, a panel a platform."""
    from plots.curves import Axis, Panels, time_curves

    paths: list[Path] = []
    for letter, (metric, label) in zip("abc", QUANTITIES.items(), strict=True):
        paths += time_curves(
            metrics.filter(metric=metric),
            None,
            x=Axis("time_s", "Time (s)", limits=(0, None)),
            y=Axis("value", label, limits=(0, None)),
            path=folder / f"overtime{letter}-{suffix}",
            series="system",
            panels=Panels("setting", PANELS),
            labels=TITLES,
            footer=caption,
        )
    return paths


def draw_cdf(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """The share of clients whose answers come no faster on average, a panel a platform."""
    from plots.curves import Axis, Panels, time_curves

    return list(
        time_curves(
            metrics,
            None,
            x=Axis("tokens_per_s", "Output tokens per second", limits=(0, None)),
            y=Axis("share_pct", "Clients (%)", limits=(0, 100)),
            path=folder / f"cdf-{suffix}",
            series="system",
            panels=Panels("setting", PANELS),
            labels=TITLES,
            footer=caption,
        )
    )


OVERTIME = Figure(
    id="fairserve/overtime",
    title="Service, output tokens and time to first token over time",
    systems=(VTC, FAIRSERVE),
    sweep=AT_LIMIT,
    timetable=timetable,
    policies=limited,
    measure=of_points(over_time),
    draw=draw_over_time,
    claims=claims.OVERTIME,
    points_of=POINTS,
    **SHARED,
)
CDF = Figure(
    id="fairserve/cdf",
    title="How fast answers come to each client",
    systems=(RPM, VTC, WSC, FAIRSERVE),
    sweep=AT_LIMIT,
    timetable=timetable,
    policies=limited,
    measure=of_points(decode_distribution),
    draw=draw_cdf,
    points_of=POINTS,
    **SHARED,
)
LINES = (OVERTIME, CDF)
