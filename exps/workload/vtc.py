"""VTC's synthetic workloads, as its artifact's suites define them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
import polars as pl

from exps.workload.timetable import timetable


@dataclass(frozen=True)
class Client:
    """A client that sends requests of one shape at a constant rate; lengths in tokens."""

    name: str
    rate_per_s: float
    prompt_tokens: int
    output_tokens: int


def uniform_clients(clients: Sequence[Client], duration_s: float, seed: int) -> pl.DataFrame:
    """The artifact's ``uniform`` mode as a timetable.

    Each client sends floor(rate x duration) requests a constant gap 1/rate apart, the first at an offset drawn
    uniformly from one gap. Equal arrivals keep the clients' order.
    """
    rng = np.random.default_rng(seed)
    counts = [floor(round(client.rate_per_s * duration_s, 6)) for client in clients]
    arrivals = [
        (rng.random() + np.arange(count)) / client.rate_per_s for client, count in zip(clients, counts, strict=True)
    ]
    return timetable(
        {
            "arrival_s": np.concatenate(arrivals),
            "client": np.repeat([client.name for client in clients], counts),
            "prompt_tokens": np.repeat([client.prompt_tokens for client in clients], counts),
            "output_tokens": np.repeat([client.output_tokens for client in clients], counts),
        }
    )


def overload_timetable(
    rates: Sequence[float] = (1.5, 3.0),
    prompt_tokens: int = 256,
    output_tokens: int = 256,
    duration_s: float = 600.0,
    seed: int = 0,
) -> pl.DataFrame:
    """Suite ``overload`` (Figure 3): clients "client-1", "client-2", ... at ``rates`` requests/s, all backlogged."""
    clients = [Client(f"client-{i}", rate, prompt_tokens, output_tokens) for i, rate in enumerate(rates, start=1)]
    return uniform_clients(clients, duration_s, seed)
