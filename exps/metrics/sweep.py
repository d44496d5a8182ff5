"""The metrics frame of a figure that sweeps one axis: one row a point."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.figure import Record
from exps.metrics.requests import summarize


def sweep_table(records: Sequence[Record]) -> pl.DataFrame:
    """model, system, the axis, and every metric of exps.metrics.requests; in the order of the records."""
    rows = []
    for record in records:
        point = record.point
        key = {"model": point.platform.name, "system": point.system, point.figure.sweep.axis: point.x}
        rows.append({**key, **summarize(record.requests)})
    return pl.DataFrame(rows, infer_schema_length=None)
