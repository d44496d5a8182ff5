"""Service over time: weighted tokens delivered to each client, VTC's measure of fairness.

Service is delivered at a constant rate over intervals. Two sources give them: ``response_intervals`` spreads a
response evenly over [first token, completion], as the VTC artifact's plots do; ``step_intervals`` is exact, from
steps.parquet. Every function below takes either. What takes less than a microsecond arrives at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from exps.metrics.delivery import Array, curves
from exps.metrics.envelope import envelopes
from exps.metrics.statuses import FINISHED


def response_intervals(requests: pl.DataFrame, w_p: float = 1.0, w_q: float = 2.0) -> pl.DataFrame:
    """One row a finished request: client, start_s, end_s, service = w_p prompt + w_q output tokens."""
    return requests.filter(FINISHED).select(
        "client",
        start_s=pl.col("first_token_s"),
        end_s=pl.col("finished_s"),
        service=w_p * pl.col("prompt_tokens") + w_q * pl.col("output_tokens"),
    )


def step_intervals(steps: pl.DataFrame, w_p: float = 1.0, w_q: float = 2.0) -> pl.DataFrame:
    """One row a stretch of equal steps: client, start_s, end_s, service."""
    service = w_p * pl.col("prompt_tokens") + w_q * pl.col("output_tokens")
    return steps.select("client", "start_s", "end_s", service=service)


def clients_of(frame: pl.DataFrame) -> list[str]:
    """The clients of records or intervals, sorted by name."""
    return list(frame["client"].unique().sort())


def delivered(intervals: pl.DataFrame, ticks_s: Array, clients: Sequence[str] | None = None) -> Array:
    """W_i(0, t), the service delivered to each client by each tick: shape (clients, ticks).

    Rows follow ``clients`` (default: those of the intervals, sorted); a client without an interval has zeros.
    """
    return curves(intervals, clients_of(intervals) if clients is None else clients).at(ticks_s)


def accumulated_difference(intervals: pl.DataFrame, ticks_s: Array, clients: Sequence[str] | None = None) -> Array:
    """max_i W_i(0, t) - min_i W_i(0, t) at each tick."""
    names = clients_of(intervals) if clients is None else clients
    if not names:
        return np.zeros(len(ticks_s))
    most, least = envelopes(curves(intervals, names), ticks_s)
    return most - least


def largest_difference(intervals: pl.DataFrame, until_s: float = np.inf, clients: Sequence[str] | None = None) -> float:
    """The largest accumulated difference up to ``until_s``: curves bend only where an interval starts or ends."""
    bends = np.unique(np.concatenate([intervals["start_s"].to_numpy(), intervals["end_s"].to_numpy()]))
    ticks = np.append(bends[bends < until_s], until_s if np.isfinite(until_s) else bends[-1:])
    return float(accumulated_difference(intervals, ticks, clients).max(initial=0.0))


def largest_backlogged_change(
    requests: pl.DataFrame, intervals: pl.DataFrame, until_s: float, clients: Sequence[str]
) -> float:
    """The most that the difference of two clients' service moves while both have a waiting request throughout.

    This is what VTC's Theorem 4.4 bounds by 2U; before, a client may have received less because it asked for less.
    """
    times = [requests[name].drop_nulls().to_numpy() for name in ("arrival_s", "admitted_s")] + [intervals["end_s"].to_numpy()]
    ticks = np.unique(np.concatenate(times))
    ticks = ticks[ticks <= until_s]
    curves, waits = delivered(intervals, ticks, clients), [_waits(requests, name, ticks) for name in clients]
    changes = [0.0]
    for first, second in combinations(range(len(clients)), 2):
        difference, both = curves[first] - curves[second], waits[first] & waits[second]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], both.view(np.int8), [0]])))
        for begin, end in edges.reshape(-1, 2):
            stretch = difference[begin : end + 1]
            changes.append(float(stretch.max() - stretch.min()))
    return max(changes)


def _waits(requests: pl.DataFrame, client: str, ticks: Array) -> npt.NDArray[np.bool_]:
    """Whether the client has a waiting request from each tick to the next; what was turned away or given up never waits."""
    stays = pl.col("admitted_s").is_not_null() | (pl.col("status") == "unfinished")
    own = requests.filter((pl.col("client") == client) & stays)
    came, went = (np.sort(own[name].drop_nulls().to_numpy()) for name in ("arrival_s", "admitted_s"))
    waiting: npt.NDArray[np.bool_] = np.searchsorted(came, ticks, side="right") > np.searchsorted(went, ticks, side="right")
    return waiting


def service_rate(
    intervals: pl.DataFrame, ticks_s: Array, window_s: float = 60.0, clients: Sequence[str] | None = None
) -> Array:
    """Service per second of each client in the window centred on each tick: shape (clients, ticks)."""
    half = window_s / 2
    after = delivered(intervals, ticks_s + half, clients)
    return (after - delivered(intervals, ticks_s - half, clients)) / window_s
