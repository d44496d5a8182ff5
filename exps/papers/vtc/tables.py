"""VTC's Tables 2, 3 and 4: service difference and throughput by scheduler, with the linear and with the profiled cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from exps.figures.figure import Figure, Record, Sweep
from exps.figures.pictures import Caption
from exps.papers.vtc import real
from exps.papers.vtc.fig3 import S1
from exps.papers.vtc.fig19 import FIG19
from exps.papers.vtc.table_claims import claims_of
from exps.papers.vtc.table_rows import MEASURES, TABLE2, TABLE3, TABLE4, Table

UNITS = {"linear": "this run", "profiled": "this run, both services by the profiled cost"}


def measure(table: Table, records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, recorded, units, metric, value: largest, mean, variance and tokens_per_s for each of the table's
    units, and isolation; ``recorded`` where the requests are those of the published run."""
    from engine.ordering.vtc.cost import profiled
    from exps.metrics.isolation import isolation
    from exps.metrics.tables import linear_cost, service_differences

    costs = {"linear": linear_cost, "profiled": profiled}
    rows: list[tuple[object, ...]] = []
    for record in records:
        total_s = record.requests["finished_s"].max()
        for units in table.units:
            found = service_differences(record.requests, total_s, costs[table.cost], costs[units])  # type: ignore[arg-type]
            key = (record.point.platform.name, record.point.system, table.is_suite or real.is_recorded(record), units)
            rows += [(*key, name, getattr(found, name)) for name in (*MEASURES, "variance")]
            rows.append((*key, "isolation", isolation(record.requests)))
    schema = {"model": pl.String, "system": pl.String, "recorded": pl.Boolean, "units": pl.String, "metric": pl.String,
              "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def draw(table: Table, metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """Bars by scheduler, the published values beside them, and where two units are measured ours in both."""
    from plots.bars import row_bars

    titles = {row.system: row.title for row in table.rows}
    others = {name: name for name in metrics["system"].unique(maintain_order=True) if name not in titles}
    ours = metrics.filter(pl.col("metric").is_in(list(MEASURES))).with_columns(
        row=pl.col("system").replace_strict(titles | others), panel="metric", series=pl.col("units").replace_strict(UNITS)
    )
    published = [(row.title, metric, getattr(row, metric)) for row in table.rows for metric in MEASURES]
    return list(
        row_bars(
            ours.select("row", "panel", "series", "value"),
            pl.DataFrame(published, ["row", "panel", "value"], orient="row"),
            panels=MEASURES,
            path=folder / f"table{table.number}-{suffix}",
            footer=caption(metrics),
        )
    )


def _of_real(table: Table) -> Figure:
    systems = tuple(row.system for row in table.rows)
    made, drawn = partial(measure, table), partial(draw, table)
    return real.figure(f"table{table.number}", table.title, systems, made, drawn, claims_of(table))


def _of_two_clients(table: Table) -> Figure:
    """Suite ``overload``, which Figure 19 runs too."""
    return replace(
        FIG19,
        id=f"vtc/table{table.number}",
        title=table.title,
        systems=tuple(row.system for row in table.rows),
        sweep=Sweep("clients", {S1.name: (2.0,)}),
        measure=partial(measure, table),
        draw=partial(draw, table),
        claims=claims_of(table),
        points_of=FIG19.id,
    )


TABLE_FIGURES = (_of_real(TABLE2), _of_real(TABLE3), _of_two_clients(TABLE4))
