"""FairServe's main table and its ablation: what is aborted and wasted, and how fast the rest is served, at four limits."""

from __future__ import annotations

from functools import partial

import polars as pl

from exps.figures.figure import Figure
from exps.figures.pictures import Bars, Draw, all_of, by_limit
from exps.papers.fairserve import claims
from exps.papers.fairserve.measures import of_points, totals
from exps.papers.fairserve.points import (
    FAIRSERVE,
    NO_REPAY,
    POINTS,
    RPM,
    SHARED,
    SWEEP,
    THROTTLING,
    TITLES,
    VTC,
    WL,
    WO,
    WOI,
    WSC,
    W,
    limited,
    timetable,
)
from exps.papers.fairserve.server import PACED

COUNTS = {
    "aborted_requests": "Aborted requests",
    "aborted_interactions": "Aborted interactions",
    "wasted_prompt_tokens": "Wasted prompt tokens",
}
RATES = {
    "requests_per_s": "Requests per s",
    "output_tokens_per_s": "Output tokens per s",
    "mean_ttft_s": "Mean TTFT (s)",
}


def _draw(name: str, symlog: bool) -> Draw:
    """For each platform a picture of the counts and one of the rates; published values beside the paced ones."""

    def beside(columns: dict[str, str], metrics: pl.DataFrame) -> pl.DataFrame | None:
        from exps.figures.published import read_published

        theirs = read_published("fairserve", name)
        there = {column: label for column, label in columns.items() if column in theirs.columns}
        if not there or metrics["setting"][0] != PACED.name:
            return None
        limits = sorted(set(metrics["limit"].cast(pl.Int64)))
        return by_limit(there)(_at_every(theirs.filter(pl.col("system").is_in(metrics["system"].unique().to_list())), limits))

    x = "Limit (requests a minute)"
    return all_of(
        Bars(f"{name}a", COUNTS, x, TITLES, by_limit(COUNTS), partial(beside, COUNTS), symlog, by_setting=True),
        Bars(f"{name}b", RATES, x, TITLES, by_limit(RATES), partial(beside, RATES), by_setting=True),
    )


def _at_every(published: pl.DataFrame, limits: list[int]) -> pl.DataFrame:
    """A system without a limit has its value at every limit."""
    everywhere = published.filter(pl.col("limit").is_null()).drop("limit")
    repeated = everywhere.join(pl.DataFrame({"limit": limits}), how="cross")
    return pl.concat([published.drop_nulls("limit"), repeated.select(published.columns)])


TABLE1 = Figure(
    id="fairserve/table1",
    title="What RPM, VTC and FairServe abort, waste and serve, by the limit of requests a minute",
    systems=(RPM, VTC, FAIRSERVE, WSC),
    sweep=SWEEP,
    timetable=timetable,
    policies=limited,
    measure=of_points(totals),
    draw=_draw("table1", symlog=False),
    claims=claims.TABLE1,
    **SHARED,
)
ABLATION = Figure(
    id="fairserve/ablation",
    title="FairServe's parts: weighted service alone (W), with throttling on overload (O), of whole interactions (I)",
    systems=(RPM, W, WO, WOI, NO_REPAY, WL),
    sweep=THROTTLING,
    timetable=timetable,
    policies=limited,
    measure=of_points(totals),
    draw=_draw("ablation", symlog=True),
    claims=claims.ABLATION,
    points_of=POINTS,
    **SHARED,
)
TABLES = (TABLE1, ABLATION)
