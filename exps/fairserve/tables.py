"""FairServe's main table and its ablation: what is aborted and wasted, and how fast the rest is served, at four limits."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.fairserve import claims
from exps.fairserve.measures import of_points, totals
from exps.fairserve.points import (
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
from exps.fairserve.server import PACED
from exps.figure import Figure

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


def long(metrics: pl.DataFrame, columns: dict[str, str]) -> pl.DataFrame:
    """Rows panel, group, series, value of columns over the limits."""
    of_limit = metrics.sort("limit", maintain_order=True).with_columns(group=pl.col("limit").cast(pl.Int64).cast(pl.String))
    ours = of_limit.unpivot(on=list(columns), index=["system", "group"], variable_name="panel", value_name="value")
    return ours.rename({"system": "series"})


def draw_table(metrics: pl.DataFrame, caption: str, stem: Path, published: str, symlog: bool) -> list[Path]:
    """For each platform a picture of the counts and one of the rates; published values beside the paced ones."""
    from exps.published import read_published
    from plots.groups import grouped_bars

    paths: list[Path] = []
    theirs = read_published("fairserve", published)
    systems = metrics["system"].unique(maintain_order=True).to_list()
    limits = sorted(set(metrics["limit"].to_list()))
    theirs = _at_every(theirs, limits)
    for platform in metrics["setting"].unique(maintain_order=True):
        rows = metrics.filter(setting=platform)
        for letter, columns in (("a", COUNTS), ("b", RATES)):
            there = [name for name in columns if name in theirs.columns]
            beside = long(theirs.filter(theirs["system"].is_in(systems)), {name: columns[name] for name in there})
            paths += grouped_bars(
                long(rows, columns),
                beside if platform == PACED.name and there else None,
                panels=columns,
                labels=TITLES,
                x="Limit (requests a minute)",
                path=stem.with_name(stem.name.replace("-", f"{letter}-{platform}-", 1)),
                symlog=symlog and columns is COUNTS,
                footer=caption,
            )
    return paths


def _at_every(published: pl.DataFrame, limits: list[float]) -> pl.DataFrame:
    """A system without a limit has its value at every limit."""
    everywhere = published.filter(pl.col("limit").is_null()).drop("limit")
    repeated = everywhere.join(pl.DataFrame({"limit": [int(limit) for limit in limits]}), how="cross")
    return pl.concat([published.drop_nulls("limit"), repeated.select(published.columns)])


def draw_table1(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    return draw_table(metrics, caption, folder / f"table1-{suffix}", "table1", symlog=False)


def draw_ablation(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    return draw_table(metrics, caption, folder / f"ablation-{suffix}", "ablation", symlog=True)


TABLE1 = Figure(
    id="fairserve/table1",
    title="What RPM, VTC and FairServe abort, waste and serve, by the limit of requests a minute",
    systems=(RPM, VTC, FAIRSERVE, WSC),
    sweep=SWEEP,
    timetable=timetable,
    policies=limited,
    measure=of_points(totals),
    draw=draw_table1,
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
    draw=draw_ablation,
    claims=claims.ABLATION,
    points_of=POINTS,
    **SHARED,
)
TABLES = (TABLE1, ABLATION)
