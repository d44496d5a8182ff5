"""Service delivered over time, as curves that bend: one for each client, made in n log n of the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[np.floating[Any]]
Numbers = npt.NDArray[np.integer[Any]]

MOMENT_S = 1e-6


@dataclass(frozen=True)
class Curves:
    """Bends of piecewise linear curves by owner and time: ``value`` from ``at_s`` on, rising at ``rate``; 0 before the first.

    ``jump`` is the part of ``value`` that came at once. All are arrays of one entry a bend; owners are numbered from 0.
    """

    count: int
    owner: Numbers
    at_s: Array
    value: Array
    rate: Array
    jump: Array

    def at(self, ticks_s: Array) -> Array:
        """The values at each tick: shape (count, ticks)."""
        if not self.owner.size:
            return np.zeros((self.count, len(ticks_s)))
        times, places = np.unique(np.concatenate([self.at_s, ticks_s]), return_inverse=True)
        bends = self.owner * times.size + places[: self.owner.size]
        asked = np.arange(self.count)[:, None] * times.size + places[self.owner.size :]
        last = np.searchsorted(bends, asked, side="right") - 1
        values = self.value[last] + self.rate[last] * (ticks_s - self.at_s[last])
        mine = (last >= 0) & (self.owner[last] == np.arange(self.count)[:, None])
        return np.where(mine, values, 0.0)


def curves(intervals: pl.DataFrame, clients: Sequence[str]) -> Curves:
    """The curves of ``clients``, numbered in their order: each interval's ``service`` at a constant rate over
    [start_s, end_s]; what takes less than a microsecond arrives at its end."""
    order = pl.DataFrame({"client": list(clients)}, schema={"client": pl.String}).with_row_index("owner")
    lasts = pl.col("end_s") - pl.col("start_s")
    rate = pl.when(lasts > MOMENT_S).then(pl.col("service") / lasts).otherwise(0.0)
    rows = intervals.join(order, on="client").with_columns(rate=rate)
    jump = pl.when(pl.col("rate") == 0).then(pl.col("service")).otherwise(0.0)
    starts = rows.select("owner", at_s="start_s", turn="rate", jump=pl.lit(0.0)).filter(pl.col("turn") != 0)
    ends = rows.select("owner", at_s="end_s", turn=-pl.col("rate"), jump=jump.cast(pl.Float64))
    bends = pl.concat([starts, ends]).group_by("owner", "at_s").agg(pl.col("turn", "jump").sum()).sort("owner", "at_s")
    bends = bends.with_columns(rate=pl.col("turn").cum_sum().over("owner"))
    since = (pl.col("rate") * (pl.col("at_s").shift(-1) - pl.col("at_s"))).shift(1).over("owner").fill_null(0.0)
    bends = bends.with_columns(value=(pl.col("jump") + since).cum_sum().over("owner"))
    columns = (bends[name].to_numpy().astype(np.float64) for name in ("at_s", "value", "rate", "jump"))
    return Curves(len(order), bends["owner"].to_numpy().astype(np.int64), *columns)
