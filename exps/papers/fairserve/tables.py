"""FairServe's main table and its ablation: what is aborted and wasted, and how fast the rest is served, at four limits."""

from __future__ import annotations

from functools import partial

import polars as pl

from exps.figures.pictures import Bars, Draw, all_of, by_limit
from exps.papers.fairserve import claims
from exps.papers.fairserve.measures import of_points, totals
from exps.papers.fairserve.points import (
    FAIRSERVE,
    NO_REPAY,
    RPM,
    SWEEP,
    THROTTLING,
    TITLES,
    VTC,
    WL,
    WO,
    WOI,
    WSC,
    W,
    figure,
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


TABLE1 = figure(
    "table1", "What RPM, VTC and FairServe abort, waste and serve, by the limit of requests a minute",
    (RPM, VTC, FAIRSERVE, WSC), SWEEP, of_points(totals), _draw("table1", symlog=False), claims.TABLE1,
)
ABLATION = figure(
    "ablation", "FairServe's parts: weighted service alone (W), with throttling on overload (O), of whole interactions (I)",
    (RPM, W, WO, WOI, NO_REPAY, WL), THROTTLING, of_points(totals), _draw("ablation", symlog=True), claims.ABLATION,
)
TABLES = (TABLE1, ABLATION)
