"""How popular Azure's functions are: the traces of 2019 and 2021, and draws with their published skew and burstiness.

The draws were fixed before any result of a system on them was looked at:

| | 2019 (MAF1) | 2021 (MAF2) |
|---|---|---|
| functions | 46,413 in the first day's file | 424 |
| popularity, lognormal | 18.6 % have 99.6 % of the invocations: sigma 3.545 | 136 of 424 have 99.5 %: 3.041 |
| level | 81 % are invoked once a minute or less | 1,980,951 invocations in 14 days |
| over time | steady; by day 0.68 to 1 of the peak | active in 43 % of the hours, as the ten busiest apps |

The functions are the distribution's quantiles, in an order that the seed draws: a draw is as skewed as the trace, not at times
more and at times less.

Sources: Shahrad et al., "Serverless in the Wild" (ATC 2020); Zhang et al., "Faster and Cheaper Serverless Computing on
Harvested Resources" (SOSP 2021) and counts of its trace; the daily minimum is Figure 7 of dLoRA's artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from engine.errors import InputError

Floats = NDArray[np.float64]
MINUTES = 1440
FILE_2019 = "invocations_per_function_md.anon.d{:02}.csv"
FILE_2021 = "AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt"
ONCE_A_MINUTE_Z = 0.878
"""81 % of a normal distribution lie below so many standard deviations above the mean."""


@dataclass(frozen=True)
class Drawn:
    """Functions whose mean rates are lognormal; ``per_day`` is the median's, or ``total_per_day`` that of all. Each is active
    in a share of the intervals, ``active``, and has the same mean over all of them."""

    functions: int
    sigma: float
    per_day: float = 1.0
    total_per_day: float | None = None
    active: float = 1.0

    def means(self) -> Floats:
        """Calls a day of each function, in the order of popularity."""
        quantiles = norm.ppf((np.arange(self.functions) + 0.5) / self.functions)
        relative: Floats = np.exp(self.sigma * quantiles)
        return relative * (self.per_day if self.total_per_day is None else self.total_per_day / relative.sum())


MAF1 = Drawn(46_413, 3.545, MINUTES * exp(-ONCE_A_MINUTE_Z * 3.545))
MAF2 = Drawn(424, 3.041, total_per_day=1_980_951 / 14, active=0.43)
LOWEST = 0.68
"""The least of a day by the most, over all functions of 2019."""


def draw_calls(kind: Drawn, intervals: int, minutes: int, seed: int) -> Floats:
    """Calls in each interval of so many minutes (rows) to each function (columns)."""
    rng = np.random.default_rng([seed, kind.functions])
    means = rng.permutation(kind.means()) * minutes / MINUTES
    on = rng.random((intervals, kind.functions)) < kind.active
    return rng.poisson(on * means / kind.active).astype(np.float64)


def draw_days(days: int, bins: int, seed: int) -> Floats:
    """Invocations of all functions of 2019 in each of ``bins`` bins a day."""
    per_bin = draw_calls(MAF1, 1, MINUTES // bins, seed).sum()
    phase = 2 * pi * (np.arange(days * bins) + 0.5) / bins
    level = (1 + LOWEST) / 2 - (1 - LOWEST) / 2 * np.cos(phase)
    rng = np.random.default_rng([seed, days, bins])
    return rng.poisson(per_bin * level).astype(np.float64)


def read_2019(folder: Path, first_minute: int, intervals: int, minutes: int) -> Floats:
    """The same of the trace of 2019: a file a day. InputError for a day or a minute that is not there."""
    last = first_minute + intervals * minutes
    parts = []
    for day in range(first_minute // MINUTES, -(-last // MINUTES)):
        begin, end = max(first_minute - day * MINUTES, 0), min(last - day * MINUTES, MINUTES)
        parts.append(_day(folder / FILE_2019.format(day + 1), begin, end))
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on=["HashApp", "HashFunction"], how="full", coalesce=True)
    counts = joined.drop("HashApp", "HashFunction").fill_null(0).to_numpy().astype(np.float64)
    return counts.reshape(len(counts), intervals, minutes).sum(axis=2).T


def _day(path: Path, begin: int, end: int) -> pl.DataFrame:
    """Minutes ``begin`` to ``end`` of a day, a row a function, in the order of the file."""
    wanted = ["HashApp", "HashFunction", *(str(minute + 1) for minute in range(begin, end))]
    frame = _read(path)
    if lacking := next((name for name in wanted if name not in frame.columns), None):
        raise InputError(f"{path}, line 1: column {lacking} is missing; give the original file of Azure's trace of 2019.")
    minutes = frame.select(wanted).group_by("HashApp", "HashFunction", maintain_order=True).sum()
    return minutes.rename({name: f"{path.name}-{name}" for name in wanted[2:]})


def read_2021(folder: Path, first_minute: int, intervals: int, minutes: int) -> Floats:
    """The same of the trace of 2021, whose rows are single invocations, by the time at which they ended."""
    path = folder / FILE_2021
    frame = _read(path)
    wanted = ("app", "func", "end_timestamp")
    if lacking := next((name for name in wanted if name not in frame.columns), None):
        raise InputError(f"{path}, line 1: column {lacking} is missing; give the original file of Azure's trace of 2021.")
    interval = (pl.col("end_timestamp") / 60 - first_minute) // minutes
    found = frame.select("app", "func", interval=interval.cast(pl.Int64))
    found = found.filter(pl.col("interval").is_between(0, intervals - 1))
    functions = found.group_by("app", "func", maintain_order=True).agg().with_row_index("function")
    cells = found.join(functions, on=["app", "func"]).group_by("interval", "function").len()
    counts = np.zeros((intervals, functions.height))
    counts[cells["interval"].to_numpy(), cells["function"].to_numpy()] = cells["len"].to_numpy()
    return counts


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the folder of Azure's traces with --traces, or leave it out.") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} is no CSV file ({next(iter(str(error).splitlines()), '')}); download it again.") from None


def shares_of(calls: Floats, adapters: int, stride: int, ranked: bool) -> Floats:
    """The share of the requests of each interval (rows) that wants each adapter (columns).

    Functions without a call are left out. The others, in the order of the trace or, ``ranked``, the most called first, go to
    adapters in blocks of ``stride``, round and round: with ranked ones a larger stride gives the first adapter more of the
    heavy ones. An interval without any call has the shares of all together.
    """
    total = calls.sum(axis=0)
    there = np.flatnonzero(total)
    if not there.size:
        raise InputError("the trace has no call in this window; give another one, or leave --traces out.")
    if ranked:
        there = there[np.argsort(-total[there], kind="stable")]
    adapter = np.arange(there.size) // stride % adapters
    by_adapter = np.stack([np.bincount(adapter, weights=row, minlength=adapters) for row in calls[:, there]])
    by_adapter[by_adapter.sum(axis=1) == 0] = by_adapter.sum(axis=0)
    return by_adapter / by_adapter.sum(axis=1, keepdims=True)
