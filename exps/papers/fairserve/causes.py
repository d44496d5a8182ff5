"""Why claims of FairServe fail: the supposed causes, each changed while all else stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Setting, Sweep
from exps.figures.pictures import Bars, Curves, Draw, all_of, by_limit
from exps.papers.fairserve import cause_claims as claims
from exps.papers.fairserve import points
from exps.papers.fairserve.cause_claims import (
    BY_TOKEN,
    EQUAL_ANSWERS,
    NO_APPS,
    ONE_APPLICATION,
    UNLIMITED,
    UNPREFERRED,
    WL_ENDS,
)
from exps.papers.fairserve.measures import OUTPUT, UNSERVED, of_points, order_of_service, throttling, totals
from exps.papers.fairserve.points import FAIRSERVE, LIMIT, RPM, THROTTLING, VTC, WL, figure
from exps.papers.fairserve.server import BURST, PACED
from plots.axes import Axis, Panels

TITLES = {
    **points.TITLES, NO_APPS: "FairServe, no application limits", BY_TOKEN: "FairServe by token",
    UNPREFERRED: "FairServe by token, nobody preferred",
}
ONE_APP = replace(PACED, name=ONE_APPLICATION, title="As paced, all of one application")
EQUAL = replace(BURST, name=EQUAL_ANSWERS, title="The same, answers of equal length")
HIT = {
    "aborted_requests": "Aborted requests",
    "worst_rank": "Lightest throttled sender (rank)",
    "mean_sent": "Requests sent by a throttled client",
}
ABORTED = {"aborted_requests": "Aborted requests"}
ANSWERS = {BURST.name: "Answers as they are", EQUAL.name: "All of the mean length"}
SET_UPS = {PACED.name + WL: TITLES[WL], PACED.name + WL_ENDS: "a drop ends the pass", ONE_APP.name + WL: "one application",
           ONE_APP.name + WL_ENDS: "both"}
LIMIT_LABEL = "Limit (requests a minute)"


def timetable(platform: Platform, limit: float, options: Options) -> pl.DataFrame:
    """The workload of the other figures; all requests of one application on ``ONE_APP``, all answers of the mean length on
    ``EQUAL``."""
    frame = points.timetable(platform, limit, options)
    if platform.setting == ONE_APP:
        return frame.with_columns(app=pl.lit("app-2"))
    mean = pl.col("output_tokens").mean().round().cast(pl.Int64)
    return frame.with_columns(output_tokens=mean) if platform.setting == EQUAL else frame


def _unserved(metrics: pl.DataFrame) -> pl.DataFrame:
    rows = metrics.filter(metric=UNSERVED).with_columns(group=pl.col("setting").replace(ANSWERS))
    return rows.rename({"metric": "panel", "system": "series"})


def _set_ups(metrics: pl.DataFrame) -> pl.DataFrame:
    """Aborted requests over the limits by setting and system."""
    return by_limit(ABORTED)(metrics.with_columns(system=pl.col("setting") + pl.col("system")))


def _published(metrics: pl.DataFrame) -> pl.DataFrame:
    """Beside the set-up that it was recorded with."""
    from exps.figures.published import read_published

    theirs = read_published("fairserve", "ablation").filter(system=WL)
    return by_limit(ABORTED)(theirs.with_columns(system=pl.lit(ONE_APP.name + WL_ENDS)))


def _figure(name: str, title: str, settings: tuple[Setting, ...], limits: tuple[float, ...], systems: tuple[str, ...],
            measure: Callable[..., Any], draw: Draw, judged: tuple[Any, ...]) -> Figure:
    sweep = Sweep("limit", {setting.name: limits for setting in settings}, quick=(LIMIT,))
    return figure(f"causes-{name}", title, systems, sweep, of_points(measure), draw, judged, settings, timetable)


RATE = Curves("ordera", Axis("value", "Output tokens per second", (0, None)), panels=Panels("setting", ANSWERS), labels=TITLES,
              metric=OUTPUT)
UNSERVED_BARS = Bars("orderb", {UNSERVED: "Clients without service"}, "After 100 s", TITLES, _unserved)
CAUSES = (
    _figure("limits", "Whom FairServe throttles with and without the applications' limits", (BURST,),
            (10.0, LIMIT, 500.0, UNLIMITED), (RPM, FAIRSERVE, NO_APPS), throttling,
            Bars("limits", HIT, LIMIT_LABEL, TITLES, by_limit(HIT), symlog=True).draw, claims.LIMITS),
    _figure("order", "Whom FairServe serves first: requests charged when they end or as their tokens come", (BURST, EQUAL),
            (LIMIT,), (VTC, FAIRSERVE, BY_TOKEN, UNPREFERRED), order_of_service, all_of(RATE, UNSERVED_BARS),
            claims.ORDER),
    _figure("always", "Throttling without regard to load, as the artifact's ablation was set up", (PACED, ONE_APP),
            THROTTLING.values[PACED.name], (WL, WL_ENDS), totals,
            Bars("always", ABORTED, LIMIT_LABEL, SET_UPS, _set_ups, _published).draw, claims.ALWAYS),
)
