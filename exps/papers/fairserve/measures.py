"""What FairServe's figures measure at each point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from exps.figures.figure import Record
from exps.metrics.statuses import FINISHED, REFUSED

TRACED = "the artifact's traces"
WSC_AT_S = 100.0
WINDOW_S, TICKS = 60.0, 100
SERVICE, OUTPUT, TTFT = "service_per_s", "output_tokens_per_s", "ttft_s"
UNSERVED, PRODUCED, PRODUCED_AT_S = "unserved_clients", "produced_tokens", (60.0, 300.0)
Rows = list[dict[str, Any]]


def of_points(measure: Callable[[Record], Rows]) -> Callable[[Sequence[Record]], pl.DataFrame]:
    """A figure's ``measure``: the rows of each record after model, system and the axis."""

    def measured(records: Sequence[Record]) -> pl.DataFrame:
        rows = []
        for record in records:
            point = record.point
            place = {"model": point.platform.name, "setting": point.platform.setting.name}
            key = {**place, "system": point.system, point.figure.sweep.axis: point.x}
            rows += [{**key, **row} for row in measure(record)]
        return pl.DataFrame(rows, infer_schema_length=None)

    return measured


def totals(record: Record) -> Rows:
    """One row: the counts of exps.metrics.interactions, delayed_clients_pct, rates over the time to the last answer and
    mean_ttft_s as in the artifact's index; most_sent and app_sent, the most requests that a client, and that an
    application, sends within a minute; of throttled clients the worst rank by requests sent; and traced, whether the workload
    is the artifact's.
    """
    from exps.metrics.interactions import aborts, delayed_clients_pct
    from exps.metrics.requests import summarize

    requests = record.requests
    served = requests.filter(FINISHED)
    end_s = float(served["finished_s"].max() or 1.0)  # type: ignore[arg-type]
    ranks = requests["client"].value_counts().with_columns(rank=pl.col("count").rank("min", descending=True))
    hit = ranks.join(requests.filter(REFUSED).select("client").unique(), on="client", how="semi")
    rates = {
        "requests_per_s": served.height / end_s,
        "prompt_tokens_per_s": float(served["prompt_tokens"].sum()) / end_s,
        "output_tokens_per_s": float(served["output_tokens"].sum()) / end_s,
    }
    return [{
        **aborts(requests), **rates, "delayed_clients_pct": delayed_clients_pct(requests),
        "mean_ttft_s": summarize(requests)["mean_ttft_s"], "most_sent": _most(requests, "client"),
        "app_sent": _most(requests, "app"), "worst_rank": hit["rank"].max(),
        "traced": _is_traced(record),
    }]


def _is_traced(record: Record) -> bool:
    return bool(record.manifest["configuration"]["workload"]["source"] == TRACED)


def throttling(record: Record) -> Rows:
    """The row of ``totals`` with, of throttled clients, mean_sent, the requests that one sends on average, and slowest, the
    fewest that one sends in its busiest minute."""
    from exps.metrics.interactions import aborts_by_client, spread

    clients = aborts_by_client(record.requests)
    busiest = clients.join(_within_a_minute(record.requests, "client"), on="client")["most"].min()
    return [{**totals(record)[0], "mean_sent": spread(clients, "sent_requests")[0], "slowest": busiest}]


def order_of_service(record: Record) -> Rows:
    """Rows metric, time_s, value, traced: the output tokens a second of ``over_time``, how many clients are ``UNSERVED`` at
    ``WSC_AT_S``, and the output tokens of answers that have ended at ``PRODUCED_AT_S``."""
    rates = [row for row in over_time(record) if row["metric"] == OUTPUT]
    unserved = {"metric": UNSERVED, "time_s": WSC_AT_S, "value": float(counters(record)[0]["clients"])}
    ended = ((time_s, record.requests.filter(pl.col("finished_s") <= time_s)) for time_s in PRODUCED_AT_S)
    tokens = [{"metric": PRODUCED, "time_s": at, "value": float(rows["output_tokens"].sum())} for at, rows in ended]
    return [{**row, "traced": _is_traced(record)} for row in (*rates, unserved, *tokens)]


def _within_a_minute(requests: pl.DataFrame, of: str) -> pl.DataFrame:
    """``of`` and most: the most requests that each sends within a minute."""
    times = requests.select(of, second=pl.col("arrival_s").floor().cast(pl.Int64)).sort("second")
    windows = times.rolling("second", period="60i", group_by=of).agg(most=pl.len())
    return windows.group_by(of).agg(pl.col("most").max())


def _most(requests: pl.DataFrame, of: str) -> int:
    return int(_within_a_minute(requests, of)["most"].max() or 0)  # type: ignore[arg-type]


def per_client(record: Record) -> Rows:
    """Rows metric, value, low, high: mean, 5th and 95th percentile over the clients that have any, of OF_A_CLIENT."""
    from exps.metrics.interactions import OF_A_CLIENT, aborts_by_client, spread

    clients = aborts_by_client(record.requests)
    found = {name: spread(clients, name) for name in OF_A_CLIENT}
    return [{"metric": name, "value": mean, "low": low, "high": high} for name, (mean, low, high) in found.items()]


def counters(record: Record) -> Rows:
    """Rows class, clients: how many clients have which weighted service counter at ``WSC_AT_S``."""
    from exps.metrics.interactions import counter_classes, service_counters

    found = counter_classes(service_counters(record.requests, WSC_AT_S))
    return [{"class": name, "clients": clients} for name, clients in found.items()]


def over_time(record: Record) -> Rows:
    """Rows metric, time_s, value in windows of ``WINDOW_S`` around ``TICKS`` ticks: normalised service and output tokens a
    second, answers spread over [first token, completion], and the mean TTFT of the first tokens in the window."""
    import numpy as np

    from exps.metrics.interactions import ratio_intervals
    from exps.metrics.response import mean_ttft_s
    from exps.metrics.service import response_intervals, service_rate

    served = record.requests.filter(FINISHED)
    end_s = float(served["finished_s"].max())  # type: ignore[arg-type]
    ticks = np.linspace(0.0, end_s, TICKS)
    everyone = [frame.with_columns(client=pl.lit("all")) for frame in
                (ratio_intervals(served), response_intervals(served, w_p=0.0, w_q=1.0))]
    curves = {name: service_rate(frame, ticks, WINDOW_S)[0] for name, frame in zip((SERVICE, OUTPUT), everyone, strict=True)}
    return [
        {"metric": name, "time_s": time_s, "value": None if np.isnan(value) else value}
        for name, curve in {**curves, TTFT: mean_ttft_s(served, ticks, WINDOW_S)}.items()
        for time_s, value in zip(ticks.tolist(), curve.tolist(), strict=True)
    ]


def decode_distribution(record: Record) -> Rows:
    """Rows tokens_per_s, share_pct: the share of clients whose answers come no faster."""
    from exps.metrics.interactions import cumulative, decode_rates

    rates, shares = cumulative(decode_rates(record.requests)["tokens_per_s"].to_numpy())
    pairs = zip(rates.tolist(), (100 * shares).tolist(), strict=True)
    return [{"tokens_per_s": rate, "share_pct": share} for rate, share in pairs]
