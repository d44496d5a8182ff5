"""Claims on VTC's Figure 3: two overloaded clients.

A metrics frame has the rows of exps.vtc.fig3.measure: model, system, metric, client, time_s, value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.figure import Setting

POOL_TOKENS, LONGEST_INPUT = 10_000, 256
SETTINGS = (Setting(batching="slora"),)
W_P, W_Q = 1.0, 2.0
U = max(W_P * LONGEST_INPUT, W_Q * POOL_TOKENS)
PLATFORM = "llama"

Array = npt.NDArray[np.float64]


def _values(metrics: pl.DataFrame, system: str, metric: str) -> pl.DataFrame:
    return metrics.filter((pl.col("system") == system) & (pl.col("metric") == metric)).sort("time_s", "client")


def difference_of(metrics: pl.DataFrame, system: str) -> tuple[Array, Array]:
    """Ticks and accumulated service difference."""
    rows = _values(metrics, system, "service_difference")
    return rows["time_s"].to_numpy(), rows["value"].to_numpy()


def _bounded(metrics: pl.DataFrame) -> Verdict:
    rows = _values(metrics, "vtc", "largest_difference")
    if rows.is_empty():
        return missing("vtc")
    largest = rows["value"][0]
    return verdict(largest < 2 * U, f"largest {largest:,.0f}")


def _flat(metrics: pl.DataFrame) -> Verdict:
    slopes = {}
    for system in ("vtc", "fcfs"):
        ticks, values = difference_of(metrics, system)
        if len(ticks) < 2:
            return missing("vtc and fcfs")
        slopes[system] = float(np.polyfit(ticks, values, 1)[0])
    ours = f"vtc {slopes['vtc']:+.1f}/s, fcfs {slopes['fcfs']:+.1f}/s"
    return verdict(slopes["fcfs"] > 0 and abs(slopes["vtc"]) <= 0.05 * slopes["fcfs"], ours)


def linear_growth(metrics: pl.DataFrame, least_r2: float = 0.98) -> Verdict:
    """Whether FCFS's service difference grows along a line."""
    ticks, values = difference_of(metrics, "fcfs")
    if len(ticks) < 3:
        return missing("fcfs")
    slope, start = np.polyfit(ticks, values, 1)
    spread = float(((values - values.mean()) ** 2).sum())
    explained = 1 - float(((values - start - slope * ticks) ** 2).sum()) / spread if spread else 0.0
    ours = f"{slope:+.0f}/s, R2 {explained:.3f}, {values[-1]:,.0f} at {ticks[-1]:.0f} s"
    return verdict(slope > 0 and explained >= least_r2, ours)


def _ratio(metrics: pl.DataFrame) -> Verdict:
    at = {}
    for system in ("vtc", "fcfs"):
        ticks, values = difference_of(metrics, system)
        if len(ticks) < 2:
            return missing("vtc and fcfs")
        at[system] = float(np.interp(ticks[-1] / 2, ticks, values))
    ratio = at["fcfs"] / at["vtc"] if at["vtc"] > 0 else float("inf")
    return verdict(at["fcfs"] > 10 * at["vtc"], f"{at['fcfs']:,.0f} / {at['vtc']:,.0f} = {ratio:.0f}x")


def _equal(metrics: pl.DataFrame) -> Verdict:
    totals = _values(metrics, "vtc", "service_total")["value"].to_list()
    if len(totals) < 2:
        return missing("vtc")
    apart = (max(totals) - min(totals)) / (sum(totals) / len(totals))
    ours = f"{', '.join(f'{total:,.0f}' for total in totals)} ({100 * apart:.1f} % apart)"
    return verdict(apart <= 0.05, ours)


CLAIMS = (
    Claim(
        "3a bound",
        f"VTC's service difference stays below 2U = {2 * U:,.0f} while both clients are backlogged",
        {PLATFORM: "largest 1,700 (600 s), 8,000 (360 s)"},
        "none: a theorem",
        _bounded,
    ),
    Claim(
        "3a flat",
        "VTC's service difference does not grow with time",
        {PLATFORM: "flat; fcfs +415/s"},
        "5 % of FCFS's slope",
        _flat,
    ),
    Claim(
        "3a linear",
        "FCFS's service difference grows linearly",
        {PLATFORM: "+415/s, 249,000 at 600 s"},
        "R2 at least 0.98",
        linear_growth,
    ),
    Claim(
        "3a ratio",
        "FCFS's difference is more than ten times VTC's by half of the run (300 s)",
        {PLATFORM: "more than 10x"},
        "none",
        _ratio,
    ),
    Claim(
        "3b equal",
        "Under VTC both clients receive the same service",
        {PLATFORM: "379,136 and 379,652 at 600 s (0.1 % apart)"},
        "5 %",
        _equal,
    ),
)
