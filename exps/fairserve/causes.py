"""Why claims of FairServe fail: the supposed causes, each changed while all else stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from exps.fairserve import cause_claims as claims
from exps.fairserve import points
from exps.fairserve.cause_claims import BY_TOKEN, EQUAL_ANSWERS, NO_APPS, ONE_APPLICATION, UNLIMITED, UNPREFERRED, WL_ENDS
from exps.fairserve.measures import OUTPUT, UNSERVED, of_points, order_of_service, throttling, totals
from exps.fairserve.points import FAIRSERVE, LIMIT, POINTS, RPM, SHARED, THROTTLING, VTC, WL, limited
from exps.fairserve.server import BURST, PACED
from exps.figure import Figure, Options, Platform, Setting, Sweep

TITLES = {
    **points.TITLES, NO_APPS: "FairServe, no application limits", BY_TOKEN: "FairServe by token",
    UNPREFERRED: "FairServe by token, nobody preferred",
}  # fmt: skip
ONE_APP = replace(PACED, name=ONE_APPLICATION, title="As paced, all of one application")
EQUAL = replace(BURST, name=EQUAL_ANSWERS, title="The same, answers of equal length")
HIT = {
    "aborted_requests": "Aborted requests",
    "worst_rank": "Lightest throttled sender (rank)",
    "mean_sent": "Requests sent by a throttled client",
}


def timetable(platform: Platform, limit: float, options: Options) -> pl.DataFrame:
    """The workload of the other figures; all requests of one application on ``ONE_APP``, all answers of the mean length on
    ``EQUAL``."""
    frame = points.timetable(platform, limit, options)
    if platform.setting == ONE_APP:
        return frame.with_columns(app=pl.lit("app-2"))
    mean = pl.col("output_tokens").mean().round().cast(pl.Int64)
    return frame.with_columns(output_tokens=mean) if platform.setting == EQUAL else frame


def draw_limits(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Who is throttled, over the limits, with and without those of applications."""
    from exps.fairserve.tables import long
    from plots.groups import grouped_bars

    return list(
        grouped_bars(long(metrics, HIT), panels=HIT, labels=TITLES, x="Limit (requests a minute)", symlog=True,
                     path=folder / f"limits-{suffix}", footer=caption)
    )  # fmt: skip


def draw_order(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Output tokens over time, and how many clients are without service after 100 s."""
    from plots.curves import Axis, Panels, time_curves
    from plots.groups import grouped_bars

    titles = {BURST.name: "Answers as they are", EQUAL.name: "All of the mean length"}
    rate = Axis("value", "Output tokens per second", limits=(0, None))
    curves = time_curves(metrics.filter(metric=OUTPUT), None, x=Axis("time_s", "Time (s)", limits=(0, None)), y=rate,
                         path=folder / f"ordera-{suffix}", series="system", panels=Panels("setting", titles), labels=TITLES,
                         footer=caption)  # fmt: skip
    unserved = metrics.filter(metric=UNSERVED).with_columns(group=pl.col("setting").replace(titles))
    bars = grouped_bars(unserved.rename({"metric": "panel", "system": "series"}), panels={UNSERVED: "Clients without service"},
                        labels=TITLES, x="After 100 s", path=folder / f"orderb-{suffix}", footer=caption)  # fmt: skip
    return [*curves, *bars]


def draw_always(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Aborted requests over the limits; published values beside the set-up that they were recorded with."""
    from exps.fairserve.tables import long
    from exps.published import read_published
    from plots.groups import grouped_bars

    panel, set_up = {"aborted_requests": "Aborted requests"}, pl.col("setting") + pl.col("system")
    theirs = read_published("fairserve", "ablation").filter(system=WL).with_columns(system=pl.lit(ONE_APP.name + WL_ENDS))
    labels = {PACED.name + WL: TITLES[WL], PACED.name + WL_ENDS: "a drop ends the pass", ONE_APP.name + WL: "one application",
              ONE_APP.name + WL_ENDS: "both"}  # fmt: skip
    return list(
        grouped_bars(long(metrics.with_columns(system=set_up), panel), long(theirs, panel), panels=panel, labels=labels,
                     x="Limit (requests a minute)", path=folder / f"always-{suffix}", footer=caption)
    )  # fmt: skip


def _figure(name: str, title: str, settings: tuple[Setting, ...], limits: tuple[float, ...], systems: tuple[str, ...],
            measure: Callable[..., Any], draw: Callable[..., list[Path]], judged: tuple[Any, ...]) -> Figure:  # fmt: skip
    sweep = Sweep("limit", {setting.name: limits for setting in settings}, quick=(LIMIT,))
    shared = {**SHARED, "settings": settings}
    return Figure(id=f"fairserve/causes-{name}", title=title, systems=systems, sweep=sweep, timetable=timetable,
                  policies=limited, measure=of_points(measure), draw=draw, claims=judged, points_of=POINTS,
                  **shared)  # fmt: skip


CAUSES = (
    _figure("limits", "Whom FairServe throttles with and without the applications' limits", (BURST,),
            (10.0, LIMIT, 500.0, UNLIMITED), (RPM, FAIRSERVE, NO_APPS), throttling, draw_limits, claims.LIMITS),
    _figure("order", "Whom FairServe serves first: requests charged when they end or as their tokens come", (BURST, EQUAL),
            (LIMIT,), (VTC, FAIRSERVE, BY_TOKEN, UNPREFERRED), order_of_service, draw_order, claims.ORDER),
    _figure("always", "Throttling without regard to load, as the artifact's ablation was set up", (PACED, ONE_APP),
            THROTTLING.values[PACED.name], (WL, WL_ENDS), totals, draw_always, claims.ALWAYS),
)  # fmt: skip
