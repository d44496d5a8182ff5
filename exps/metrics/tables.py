"""The service-difference metric of VTC's Tables 2 to 6, from requests (columns as in the records)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from exps.metrics.service import clients_of, service_rate
from exps.metrics.statuses import FINISHED

Array = npt.NDArray[np.floating[Any]]
WARM_UP_S, WINDOW_S, TICKS = 30.0, 60.0, 19
SPAN_S = 600.0


@dataclass(frozen=True)
class Differences:
    """Largest, mean and population variance over the ticks, in service a second; tokens a second over the whole run."""

    largest: float
    mean: float
    variance: float
    tokens_per_s: float


def linear_cost(p: pl.Expr, q: pl.Expr) -> pl.Expr:
    return p + 2 * q


def service_differences(
    requests: pl.DataFrame,
    total_s: float,
    cost: Callable[[pl.Expr, pl.Expr], pl.Expr] = linear_cost,
    asked: Callable[[pl.Expr, pl.Expr], pl.Expr] = linear_cost,
) -> Differences:
    """At each tick and for each client the smaller of what it lacks to the best served and of what it asked for and did
    not get, summed over the clients.

    Service by ``cost`` is spread over [first token, completion], the service asked for by ``asked`` arrives at once; the
    artifact leaves ``asked`` linear whatever the cost. Windows of 60 s begin at 19 ticks 28.5 s apart, from 28.5 s on.
    ``total_s``: until the last answer.
    """
    served = requests.filter(FINISHED)
    clients = clients_of(served)
    p, q = pl.col("prompt_tokens"), pl.col("output_tokens")
    spread = served.select("client", start_s="first_token_s", end_s="finished_s", service=cost(p, q).cast(pl.Float64))
    ticks = WARM_UP_S + np.arange(1, TICKS + 1) * (SPAN_S - WARM_UP_S) / (TICKS + 1)
    got = service_rate(spread, ticks, WINDOW_S, clients)
    of = {str(key[0]): part for key, part in served.group_by("client")}
    wanted = np.array([_asked(of[name], asked(p, q), ticks) for name in clients])
    lacking = np.minimum(got.max(axis=0) - got, np.abs(wanted - got)).sum(axis=0)
    tokens = served.select((p + q).sum()).item()
    return Differences(float(lacking.max()), float(lacking.mean()), float(lacking.var()), tokens / total_s)


def _asked(of_client: pl.DataFrame, cost: pl.Expr, ticks: Array) -> Array:
    """Service a second that the requests arriving in each window ask for."""
    rows = of_client.select("arrival_s", cost=cost.cast(pl.Float64)).sort("arrival_s")
    when, sums = rows["arrival_s"].to_numpy(), np.concatenate([[0.0], np.cumsum(rows["cost"].to_numpy())])
    after, before = (np.searchsorted(when, ticks + side * WINDOW_S / 2) for side in (1, -1))
    rates: Array = (sums[after] - sums[before]) / WINDOW_S
    return rates
