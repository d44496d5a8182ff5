"""What a figure measures, whatever the shape of its metrics: value by value, and as a table that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[np.float64]

X = "x"
"""The axis in frames that have one name for every figure's."""

PARTS = ("client", "round")
"""Columns of frames with a column a metric, null in the rows about a whole point."""


class MissingError(Exception):
    """What a claim needs and the run does not have, as in "vtc's service_total"."""


@dataclass(frozen=True)
class Numbers:
    """A figure's metrics of one model and setting, by system, metric and other columns: ``at("vtc", "mean", clients=2.0)``.

    A metric is a column of the frame, or a name in its column ``metric`` beside ``value``. MissingError where it is not there.
    """

    frame: pl.DataFrame

    def at(self, system: str, metric: str, undefined: float | None = None, **where: Any) -> float:
        """One value; ``undefined`` where the point is there and has none."""
        values = self._all(system, metric, where)["value"].to_list()
        value: float | None = undefined if values[:1] == [None] else next(iter(values), None)
        if value is None:
            raise MissingError(_named(system, metric, where))
        return value

    def over(self, system: str, metric: str, axis: str, ticks: Iterable[float], **where: Any) -> list[float]:
        """The value at each tick of an axis."""
        return [self.at(system, metric, **{axis: tick}, **where) for tick in ticks]

    def each(self, system: str, metric: str, by: str, least: int = 1, **where: Any) -> dict[Any, float]:
        """The values by another column, sorted by it: at least so many."""
        rows = self.rows(system, metric, least, **where).sort(by, maintain_order=True)
        return dict(rows.select(by, "value").iter_rows())

    def series(self, system: str, metric: str, least: int = 2, **where: Any) -> tuple[Array, Array]:
        """Ticks and values over time: at least so many."""
        rows = self.rows(system, metric, least, **where).sort("time_s", maintain_order=True)
        return rows["time_s"].to_numpy(), rows["value"].to_numpy()

    def rows(self, system: str, metric: str, least: int = 1, **where: Any) -> pl.DataFrame:
        """The rows that have a ``value`` of the metric: at least so many."""
        rows = self._all(system, metric, where).drop_nulls("value")
        if rows.height < least:
            raise MissingError(_named(system, metric, where) + f", at least {least} values" * (least > 1))
        return rows

    def mean(self, system: str, metric: str, begin_s: float, end_s: float, **where: Any) -> float:
        """The mean of the values over time from begin to end."""
        ticks, values = self.series(system, metric, least=1, **where)
        there = values[(ticks >= begin_s) & (ticks <= end_s)]
        if not there.size:
            raise MissingError(f"{_named(system, metric, where)} from {begin_s:g} to {end_s:g} s")
        return float(there.mean())

    def _all(self, system: str, metric: str, where: dict[str, Any]) -> pl.DataFrame:
        rows = self.frame.filter(system=system, **where)
        return rows.with_columns(value=metric) if metric in rows.columns else rows.filter(metric=metric)


def _named(system: str, metric: str, where: dict[str, Any]) -> str:
    """As in "vtc's mean (clients 2)"."""
    places = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in where.items())
    return f"{system}'s {metric}" + (f" ({', '.join(places)})" if where else "")


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
