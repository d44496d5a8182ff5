"""What the clients that are throttled ask for."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.figure import Record, Sweep
from exps.figures.pictures import Curves
from exps.metrics.statuses import FINISHED, REFUSED
from exps.papers.fairserve.points import FAIRSERVE, LIMITS, RPM, TITLES, WL, WO, WOI, W, figure
from exps.papers.fairserve.server import SETTINGS
from plots.axes import Axis, Panels

QUANTITIES = {
    "prompt_tokens": "Prompt",
    "output_tokens": "Answer",
    "service": "Normalised service",
    "sent_requests": "Requests sent",
}


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, limit, quantity, scaled, share_pct: the distribution of ``QUANTITIES`` over throttled clients.

    A client's are the means over its aborted requests, and how many requests it sent; scaled by the largest of any
    throttled client of the run. Answers that were aborted are as long as in a run of the same workload that gave them.
    Every distribution begins at (0, 0).
    """
    longest = _answers(records)
    rows = [_distributions(record, longest[record.point.platform.key, record.point.x]) for record in records]
    return pl.concat(rows)


def _answers(records: Sequence[Record]) -> dict[tuple[str, float], pl.Series]:
    """By platform and limit the length of every answer in the runs that gave it; null where none did."""
    found: dict[tuple[str, float], pl.Series] = {}
    for record in records:
        key, requests = (record.point.platform.key, record.point.x), record.requests
        given = requests.select(pl.when(FINISHED).then("output_tokens")).to_series()
        found[key] = found[key].zip_with(found[key].is_not_null(), given) if key in found else given
    return found


def _distributions(record: Record, answers: pl.Series) -> pl.DataFrame:
    from exps.metrics.interactions import aborts_by_client, ratio_intervals

    answered = record.requests.with_columns(output_tokens=answers).filter(REFUSED).with_columns(status=pl.lit("finished"))
    asked = answered.with_columns(ratio_intervals(answered)["service"])
    means = asked.group_by("client").agg(pl.col("prompt_tokens", "output_tokens", "service").mean())
    clients = means.join(aborts_by_client(record.requests).select("client", "sent_requests"), on="client")
    origin = clients.head(1).select(pl.col(name) * 0.0 for name in QUANTITIES)
    scaled = clients.select(pl.col(name) / pl.col(name).max() for name in QUANTITIES)
    point = record.point
    return (
        pl.concat([origin, scaled])
        .unpivot(variable_name="quantity", value_name="scaled")
        .drop_nulls()
        .with_columns(share_pct=100.0 * (pl.col("scaled").rank("max").over("quantity") - 1) / (pl.len().over("quantity") - 1))
        .select(pl.lit(point.platform.name).alias("model"), pl.lit(point.platform.setting.name).alias("setting"),
                pl.lit(point.system).alias("system"),
                pl.lit(point.x).alias("limit"), "quantity", "scaled", "share_pct")
    )


CDF_THROTTLED = figure(
    "cdf-throttled",
    "What throttled clients ask for",
    (RPM, W, WO, WOI, WL, FAIRSERVE),
    Sweep("limit", {setting.name: LIMITS[:1] for setting in SETTINGS}),
    measure,
    Curves(
        "cdf-throttled",
        Axis("share_pct", "Throttled clients (%)", (0, 100)),
        Axis("scaled", "Share of the largest", (0, 1.03)),
        panels=Panels("quantity", QUANTITIES),
        labels=TITLES,
        rows=lambda metrics: metrics.unique(maintain_order=True),
        by_setting=True,
    ).draw,
)
