"""What a figure measures as a table that a person reads: a row a point, whatever the shape of the figure's metrics."""

from __future__ import annotations

import polars as pl

X = "x"
"""The axis in frames that have one name for every figure's."""

PARTS = ("client", "round")
"""Columns of frames with a column a metric, null in the rows about a whole point."""


def table_of(metrics: pl.DataFrame, axis: str) -> pl.DataFrame:
    """A row for each system, model, setting and value of the axis, with what was measured of the whole point.

    ``metrics`` has a column each, or rows of ``metric``, perhaps of one client, and ``value``; of values over time the last
    stands. A column of keys that says the same everywhere is left out.
    """
    whole = _pivoted(metrics) if {"metric", "value"} <= set(metrics.columns) else _of_points(metrics)
    keys = [name for name, dtype in whole.schema.items() if name in (axis, X) or not dtype.is_numeric()]
    told = ["system", *(name for name in keys if name != "system" and whole[name].n_unique() > 1)]
    values = [name for name in whole.columns if name not in keys and whole[name].null_count() < whole.height]
    point = pl.concat_str([pl.col(name).cast(pl.String) for name in told], separator=", ", ignore_nulls=True)
    return whole.sort("system", maintain_order=True).select(point.alias(", ".join(told)), *values)


def _pivoted(metrics: pl.DataFrame) -> pl.DataFrame:
    if "client" in metrics.columns:
        named = pl.concat_str("metric", "client", separator=" of ", ignore_nulls=True)
        metrics = metrics.with_columns(metric=named).drop("client")
    if "time_s" in metrics.columns:
        metrics = metrics.sort("time_s", nulls_last=True, maintain_order=True)
    keys = [name for name in metrics.columns if name not in ("metric", "value", "time_s")]
    return metrics.pivot(on="metric", index=keys, values="value", aggregate_function="last", maintain_order=True)


def _of_points(metrics: pl.DataFrame) -> pl.DataFrame:
    parts = [name for name in PARTS if name in metrics.columns]
    return metrics.filter(pl.lit(True), *(pl.col(name).is_null() for name in parts)).drop(parts)
