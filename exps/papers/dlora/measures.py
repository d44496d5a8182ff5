"""What dLoRA's figures measure, from the records of requests.

| metric | formula, over finished requests |
|---|---|
| mean_s_per_token | mean of (finished_s - arrival_s) / output_tokens |
| p90_s_per_token | of the same, sorted, the value at floor(0.9 n) |
| queueing_s_per_token | mean of waiting / output_tokens; waiting = finished_s - arrival_s - computed_s |
| queueing_share_pct | 100 x mean waiting / (mean waiting + mean computed_s), of a replica's requests |
| requests_per_s | finished requests / (last finished_s - first arrival_s) |
| adjust_s, solver_s, total_s | facts of the run: most of a replica on copies and switches; solving; until the end |
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import polars as pl

from exps.figures.figure import Record
from exps.metrics.requests import span_s
from exps.metrics.statuses import FINISHED

WAITING = pl.col("finished_s") - pl.col("arrival_s") - pl.col("computed_s")
LATENCY = (pl.col("finished_s") - pl.col("arrival_s")) / pl.col("output_tokens")


def over_axis(records: Sequence[Record]) -> pl.DataFrame:
    """A row a point: model, setting, system, the axis, and the metrics of all its requests."""
    rows = []
    for record in records:
        point, done = record.point, record.requests.filter(FINISHED)
        latency = done.select(LATENCY).to_series().sort()
        facts, span = record.manifest.get("facts", {}), span_s(record.requests)
        rows.append(
            {
                "model": point.platform.name,
                "setting": point.platform.setting.name,
                "system": point.system,
                point.figure.sweep.axis: point.x,
                "mean_s_per_token": latency.mean(),
                "p90_s_per_token": latency[floor(0.9 * len(latency))] if len(latency) else None,
                "queueing_s_per_token": done.select((WAITING / pl.col("output_tokens")).mean()).item(),
                "requests_per_s": len(latency) / span if span else None,
                "adjust_s": facts.get("adjust_s"),
                "solver_s": facts.get("solver_s"),
                "total_s": facts.get("end_s"),
                "folds": facts.get("folds"),
                "moved": facts.get("moved"),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def by_replica(records: Sequence[Record]) -> pl.DataFrame:
    """A row a point and replica, "1" and on: queueing_share_pct."""
    parts = []
    for record in records:
        point = record.point
        of_replica = record.requests.filter(FINISHED).group_by("replica").agg(
            waiting=WAITING.mean(), computed=pl.col("computed_s").mean()
        )
        parts.append(
            of_replica.sort("replica").select(
                model=pl.lit(point.platform.name),
                setting=pl.lit(point.platform.setting.name),
                system=pl.lit(point.system),
                replica=(pl.col("replica") + 1).cast(pl.String),
                queueing_share_pct=100 * pl.col("waiting") / (pl.col("waiting") + pl.col("computed")),
            )
        )
    return pl.concat(parts)


def published(name: str, metrics: pl.DataFrame | None = None) -> pl.DataFrame:
    """The published values of a figure, their axis as numbers like ours."""
    from exps.figures.published import read_published

    return read_published("dlora", name).with_columns(pl.selectors.integer().cast(pl.Float64))


def off(ours: pl.DataFrame, name: str, axis: str, value: str) -> pl.DataFrame:
    """How far ours is from the published values, in per cent of them: a row a system and value of the axis."""
    theirs = published(name).select("system", axis, published=value)
    both = ours.select("system", axis, ours=value).join(theirs, on=["system", axis], maintain_order="left")
    return both.with_columns(off_pct=100 * (pl.col("ours") / pl.col("published") - 1))
