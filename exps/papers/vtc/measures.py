"""What VTC's figures measure over time: service, differences and response times of each client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from exps.figures.figure import Record
from plots.axes import Axis

Row = tuple[Any, ...]
DIFFERENCE = Axis("value", "Service difference", (0, None))
RESPONSE = Axis("value", "Time to first token (s)", (0, None))


def over_time(windows: Callable[[float], float], ticks: int = 30) -> Callable[[Sequence[Record]], pl.DataFrame]:
    """A figure's ``measure``: rows model, system, metric, client, time_s, value.

    ``windows`` gives the window of a run of so many seconds. Of responses spread over [first token, completion], as in
    the paper: service_difference at 20 ticks; service_per_s and response_s (mean TTFT of the first tokens in the
    window) of each client in windows around ``ticks`` ticks; service_total of each client at the end; mean_ttft_s of
    each client; exact, from steps: largest_difference, and backlogged_change, which Theorem 4.4 bounds.
    """

    def measure(records: Sequence[Record]) -> pl.DataFrame:
        rows = [row for record in records for row in _of_one(record, windows(record.point.x), ticks)]
        schema = {"model": pl.String, "system": pl.String, "metric": pl.String, "client": pl.String,
                  "time_s": pl.Float64, "value": pl.Float64}
        return pl.DataFrame(rows, schema, orient="row")

    return measure


def _of_one(record: Record, window_s: float, ticks: int) -> list[Row]:
    import numpy as np

    from exps.metrics.service import (
        accumulated_difference,
        clients_of,
        delivered,
        largest_backlogged_change,
        largest_difference,
        response_intervals,
        service_rate,
        step_intervals,
    )

    end_s, clients = record.point.x, clients_of(record.requests)
    responses = response_intervals(record.requests)
    key = (record.point.platform.name, record.point.system)
    edges = np.linspace(end_s / 20, end_s, 20)
    middles = np.linspace(end_s / ticks, end_s, ticks)
    middles = middles[(middles >= window_s / 2) & (middles <= end_s - window_s / 2)]
    difference = accumulated_difference(responses, edges, clients)
    rates, totals = service_rate(responses, middles, window_s, clients), delivered(responses, edges[-1:], clients)
    gaps = zip(edges.tolist(), difference.tolist(), strict=True)
    rows: list[Row] = [(*key, "service_difference", None, *gap) for gap in gaps]
    for name, rate, total in zip(clients, rates.tolist(), totals.tolist(), strict=True):
        rows += [(*key, "service_per_s", name, *pair) for pair in zip(middles.tolist(), rate, strict=True)]
        rows.append((*key, "service_total", name, end_s, total[0]))
        rows += response_times(record.requests, key, name, middles.tolist(), window_s, end_s)
    if record.steps is not None:
        exact = step_intervals(record.steps)
        largest = largest_difference(exact, end_s, clients)
        backlogged = largest_backlogged_change(record.requests, exact, end_s, clients)
        rows += [(*key, "largest_difference", None, end_s, largest), (*key, "backlogged_change", None, end_s, backlogged)]
    return rows


def response_times(
    requests: pl.DataFrame, key: tuple[str, str], client: str, middles: list[float], window_s: float, end_s: float
) -> list[Row]:
    """mean_ttft_s and response_s of a client, the TTFT of first tokens in the windows; a window without any has no row."""
    import numpy as np

    from exps.metrics.response import mean_ttft_s

    own = requests.filter(pl.col("client") == client)
    over_all = own.select((pl.col("first_token_s") - pl.col("arrival_s")).mean()).item()
    waits = zip(middles, mean_ttft_s(own, np.array(middles), window_s).tolist(), strict=True)
    rows: list[Row] = [(*key, "mean_ttft_s", client, end_s, over_all)]
    return rows + [(*key, "response_s", client, middle, wait) for middle, wait in waits if not np.isnan(wait)]
