"""VTC's synthetic workloads, as its artifact's suites define them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exps.workload.timetable import timetable


@dataclass(frozen=True)
class Client:
    """A client that sends requests of one shape at a constant rate; lengths in tokens."""

    name: str
    rate_per_s: float
    prompt_tokens: int
    output_tokens: int


SLOT_S = 60.0
Times = NDArray[np.floating[Any]]


def uniform_clients(clients: Sequence[Client], duration_s: float, seed: int) -> pl.DataFrame:
    """The artifact's ``uniform`` mode as a timetable.

    Each client sends floor(rate x duration) requests a constant gap 1/rate apart, the first at an offset drawn
    uniformly from one gap. Equal arrivals keep the clients' order.
    """
    return _merged(clients, _uniform(clients, duration_s, np.random.default_rng(seed)))


def overload_timetable(
    rates: Sequence[float] = (1.5, 3.0),
    prompt_tokens: int = 256,
    output_tokens: int = 256,
    duration_s: float = 600.0,
    seed: int = 0,
) -> pl.DataFrame:
    """Suites ``overload``, ``proportional`` and the like: clients "client-1", "client-2", ... at ``rates`` requests/s."""
    return uniform_clients(_clients(rates, prompt_tokens, output_tokens), duration_s, seed)


def on_off_timetable(
    rates: Sequence[float], prompt_tokens: int = 256, output_tokens: int = 256, duration_s: float = 600.0, seed: int = 0
) -> pl.DataFrame:
    """Suites ``on_off_less`` and ``on_off_overload``: client 1 is silent in every second minute."""
    clients = _clients(rates, prompt_tokens, output_tokens)
    arrivals = _uniform(clients, duration_s, np.random.default_rng(seed))
    return _merged(clients, [_on(arrivals[0]), *arrivals[1:]])


def poisson_timetable(shapes: Sequence[Client], duration_s: float = 600.0, seed: int = 0) -> pl.DataFrame:
    """Suites ``poisson_short_long``: one Poisson stream, each request's client drawn by the clients' rates."""
    rng = np.random.default_rng(seed)
    rates = np.array([client.rate_per_s for client in shapes])
    gaps = rng.exponential(1 / rates.sum(), size=ceil(2 * rates.sum() * duration_s) + 100)
    times = np.cumsum(gaps)
    times = times[times < duration_s]
    whose = rng.choice(len(shapes), size=times.size, p=rates / rates.sum())
    return _merged(shapes, [times[whose == number] for number in range(len(shapes))])


def increase_timetable(
    prompt_tokens: int = 256, output_tokens: int = 256, duration_s: float = 600.0, seed: int = 0
) -> pl.DataFrame:
    """Suite ``increase``: client 1 sends 0.5 requests/s, client 2 from 0.2 to 2, each gap 1 / the rate of its time."""
    clients = _clients((0.5, 0.2), prompt_tokens, output_tokens)
    rising, now = [], 0.0
    while now < duration_s:
        rising.append(now)
        now += 1 / (0.2 + 1.8 * now / duration_s)
    steady = np.arange(floor(round(0.5 * duration_s, 6))) / 0.5
    return _merged(clients, [steady, np.array(rising)])


def shift_timetable(
    prompt_tokens: int = 256, output_tokens: int = 256, duration_s: float = 900.0, seed: int = 0
) -> pl.DataFrame:
    """Suite ``dist_shift``: a third of the time at 0.5 (every second minute) and 2 requests/s, one at 1 and 1, one at 0.5
    and 1.5."""
    rng = np.random.default_rng(seed)
    third = duration_s / 3
    phases = []
    for number, rates in enumerate(((0.5, 2.0), (1.0, 1.0), (0.5, 1.5))):
        arrivals = _uniform(_clients(rates, prompt_tokens, output_tokens), third, rng)
        if number == 0:
            arrivals[0] = _on(arrivals[0])
        phases.append([times + number * third for times in arrivals])
    joined = [np.concatenate([phase[client] for phase in phases]) for client in range(2)]
    return _merged(_clients((1.0, 1.0), prompt_tokens, output_tokens), joined)


def _clients(rates: Sequence[float], prompt_tokens: int, output_tokens: int) -> list[Client]:
    return [Client(f"client-{i}", rate, prompt_tokens, output_tokens) for i, rate in enumerate(rates, start=1)]


def _uniform(clients: Sequence[Client], duration_s: float, rng: np.random.Generator) -> list[Times]:
    counts = [floor(round(client.rate_per_s * duration_s, 6)) for client in clients]
    pairs = zip(clients, counts, strict=True)
    return [(rng.random() + np.arange(count, dtype=np.float64)) / client.rate_per_s for client, count in pairs]


def _on(times: Times) -> Times:
    """Those of even minutes."""
    return times[(times // SLOT_S) % 2 == 0]


def _merged(clients: Sequence[Client], arrivals: Sequence[Times]) -> pl.DataFrame:
    counts = [times.size for times in arrivals]
    return timetable(
        {
            "arrival_s": np.concatenate(arrivals),
            "client": np.repeat([client.name for client in clients], counts),
            "prompt_tokens": np.repeat([client.prompt_tokens for client in clients], counts),
            "output_tokens": np.repeat([client.output_tokens for client in clients], counts),
        }
    )
