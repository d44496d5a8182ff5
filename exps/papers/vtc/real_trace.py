"""VTC's real workload: what its artifact replayed of Chatbot Arena, or requests drawn with its statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exps.recorded.recordings import EXTRA_PROMPT_TOKENS, read_workload
from exps.workload.timetable import timetable

RUNS = ("vtc_real", "fcfs_real")
DURATION_S, SLOT_S, MINUTE_S = 600.0, 20.0, 60.0
DISPERSION = 3.4
ROUNDS = 50
LEAST_LEVEL = 1e-9
POWERS = np.logspace(-1.5, 1.5, 61)
DATA = Path(__file__).parents[2] / "workload" / "data"
CLIENTS, LENGTHS = (DATA / f"vtc_{name}.csv" for name in ("clients", "lengths"))


def recorded_real(folder: Path) -> pl.DataFrame:
    """The artifact's own requests, as its runs recorded them. InputError where the folder has neither run."""
    return read_workload(folder, RUNS)


def drawn_real(seed: int) -> pl.DataFrame:
    """1500 requests of 27 clients within 600 s: skewed, and bursty for each client and in all.

    As recorded: each client's requests, mean lengths and, nearly, the dispersion of its counts by the minute; the lengths
    of all, where an answer's does not depend on its prompt's; the dispersion of all counts in 20 s. "client-27" sends the
    most.
    """
    rates, times, lengths = (np.random.default_rng(key) for key in np.random.SeedSequence([seed, 27]).spawn(3))
    table = pl.read_csv(CLIENTS)
    counts = table["requests"].to_numpy()
    expected = _expected(counts, table["dispersion"].to_numpy(), rates)
    slots = np.concatenate([times.multinomial(count, row / row.sum()) for count, row in zip(counts, expected, strict=True)])
    starts = np.tile(np.arange(expected.shape[1]) * SLOT_S, counts.size)
    return timetable(
        {
            "arrival_s": np.repeat(starts, slots) + SLOT_S * times.random(counts.sum()),
            "client": np.repeat([f"client-{rank}" for rank in range(1, counts.size + 1)], counts),
            "prompt_tokens": _lengths(table, "prompt_tokens", lengths) + EXTRA_PROMPT_TOKENS,
            "output_tokens": _lengths(table, "output_tokens", lengths),
        }
    )


def _expected(counts: NDArray[np.int64], dispersion: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Requests expected of each client in each slot: shape (clients, slots).

    Gamma levels for each client and minute, and for all together and slot; rows and columns are then scaled in turn
    until both sums are met.
    """
    minutes, slots = round(DURATION_S / MINUTE_S), round(DURATION_S / SLOT_S)
    cv2 = np.maximum(_before_scaling(_squared_cv(counts, dispersion, minutes), counts / counts.sum()), LEAST_LEVEL)[:, None]
    table = np.repeat(rng.gamma(1 / cv2, cv2, (counts.size, minutes)) + LEAST_LEVEL, slots // minutes, axis=1)
    cv2_in_all = _squared_cv(counts.sum(), DISPERSION, slots)
    in_all = rng.gamma(1 / cv2_in_all, cv2_in_all, slots)
    in_all *= counts.sum() / in_all.sum()
    for _ in range(ROUNDS):
        table *= in_all / table.sum(axis=0)
        table *= (counts / table.sum(axis=1))[:, None]
    return table


def _squared_cv(counts: Any, dispersion: Any, bins: int) -> Any:
    """Of the rate: Poisson counts, ``counts`` in all the bins, have a dispersion of 1 + mean x squared cv."""
    return (dispersion - 1) * bins / counts


def _before_scaling(cv2: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared cv that scaling columns turns into ``cv2``, to first order: it takes the weighted mean off each log level."""
    mixing = np.tile(shares**2, (shares.size, 1))
    np.fill_diagonal(mixing, (1 - shares) ** 2)
    return np.asarray(np.linalg.solve(mixing, cv2), dtype=np.float64)


def _lengths(clients: pl.DataFrame, name: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tokens between the recorded quantiles; powers of the uniform draws give each client its mean."""
    table = pl.read_csv(LENGTHS)
    quantiles, values = table["quantile"].to_numpy(), table[name].to_numpy()
    middles = (np.arange(1000) + 0.5) / 1000
    means = np.array([np.interp(middles**power, quantiles, values).mean() for power in POWERS])
    powers = np.interp(clients[name].to_numpy(), means[::-1], POWERS[::-1])
    uniform = rng.random(int(clients["requests"].sum())) ** np.repeat(powers, clients["requests"].to_numpy())
    return np.rint(np.interp(uniform, quantiles, values)).astype(np.int64)
