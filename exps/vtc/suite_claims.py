"""Claims on VTC's synthetic suites. A metrics frame has the rows of exps.vtc.measures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.vtc.claims import PLATFORM, U, linear_growth

LIGHT = ("client-1", "client-2")


def _rows(metrics: pl.DataFrame, system: str, metric: str, client: str | None = None) -> pl.DataFrame:
    rows = metrics.filter((pl.col("system") == system) & (pl.col("metric") == metric)).sort("time_s")
    return rows if client is None else rows.filter(pl.col("client") == client)


def _one(metrics: pl.DataFrame, system: str, metric: str, client: str | None = None) -> float | None:
    rows = _rows(metrics, system, metric, client)
    return None if rows.is_empty() else rows["value"][0]


def _ttft(metrics: pl.DataFrame, client: str, factor: float) -> Verdict:
    """Whether the client waits at least ``factor`` times less under VTC than under FCFS."""
    ours, theirs = (_one(metrics, system, "mean_ttft_s", client) for system in ("vtc", "fcfs"))
    if ours is None or theirs is None:
        return missing("vtc and fcfs")
    return verdict(theirs >= factor * ours, f"{ours:.2f} s, fcfs {theirs:.1f} s: {theirs / ours:.0f}x")


def _equal_totals(metrics: pl.DataFrame, tolerance: float) -> Verdict:
    totals = _rows(metrics, "vtc", "service_total")["value"].to_list()
    if len(totals) < 2:
        return missing("vtc")
    apart = (max(totals) - min(totals)) / (sum(totals) / len(totals))
    return verdict(apart <= tolerance, f"{', '.join(f'{total:,.0f}' for total in totals)} ({100 * apart:.1f} % apart)")


def _bounded(metrics: pl.DataFrame) -> Verdict:
    change, largest = (_one(metrics, "vtc", metric) for metric in ("backlogged_change", "largest_difference"))
    if change is None or largest is None:
        return missing("vtc")
    return verdict(change < 2 * U, f"{change:,.0f} while both wait; {largest:,.0f} in all")


def _demand(metrics: pl.DataFrame) -> Verdict:
    totals = {row["client"]: row["value"] / row["time_s"] for row in _rows(metrics, "vtc", "service_total").to_dicts()}
    if len(totals) < 3:
        return missing("vtc")
    first, second, third = (totals[f"client-{i}"] for i in (1, 2, 3))
    holds = abs(second / first - 2) <= 0.1 and abs(first / 193 - 1) <= 0.05 and third > sum(totals.values()) / 3
    return verdict(holds, f"{first:.0f}, {second:.0f}, {third:.0f} a second")


def _steady_total(metrics: pl.DataFrame) -> Verdict:
    rates = _rows(metrics, "vtc", "service_per_s").group_by("time_s", maintain_order=True).agg(pl.col("value").sum())
    values = rates["value"].to_numpy()
    if values.size < 3:
        return missing("vtc")
    spread = float((values.max() - values.min()) / values.mean())
    return verdict(spread <= 0.1, f"{values.mean():.0f} a second, {100 * spread:.1f} % from least to most")


def _absorbs(metrics: pl.DataFrame) -> Verdict:
    rates = {client: _rows(metrics, "vtc", "service_per_s", client)["value"].to_numpy() for client in LIGHT}
    if min(rate.size for rate in rates.values()) < 3:
        return missing("vtc")
    relation = float(np.corrcoef(rates["client-1"], rates["client-2"])[0, 1])
    return verdict(relation <= -0.9, f"correlation {relation:.2f}")


def _flat_response(metrics: pl.DataFrame) -> Verdict:
    """Client 1's response time does not move while client 2's rises."""
    steady, rising = (_rows(metrics, "vtc", "response_s", client)["value"].to_numpy() for client in LIGHT)
    if min(steady.size, rising.size) < 4:
        return missing("vtc")
    half = len(rising) // 2
    holds = steady.max() <= 2.0 and rising[half:].mean() >= 5 * rising[:half].mean()
    return verdict(bool(holds), f"client 1 at most {steady.max():.2f} s, client 2 up to {rising.max():.0f} s")


def _phase(metrics: pl.DataFrame, system: str, begin: float, end: float) -> list[float]:
    rows = _rows(metrics, system, "service_per_s").filter(pl.col("time_s").is_between(begin, end))
    means = rows.group_by("client").agg(pl.col("value").mean()).sort("client")
    return list(means["value"])


def _evens_out(metrics: pl.DataFrame) -> Verdict:
    """After two minutes of the second of three phases."""
    vtc, lcf = (_phase(metrics, system, 420 + 30, 600 - 30) for system in ("vtc", "lcf"))
    if len(vtc) < 2 or len(lcf) < 2:
        return missing("vtc and lcf")
    holds = abs(vtc[0] / vtc[1] - 1) <= 0.05 and lcf[0] / lcf[1] >= 1.15
    return verdict(holds, f"vtc {vtc[0]:.0f} and {vtc[1]:.0f}, lcf {lcf[0]:.0f} and {lcf[1]:.0f} a second")


def _alike_at_last(metrics: pl.DataFrame) -> Verdict:
    vtc, lcf = (_phase(metrics, system, 780, 870) for system in ("vtc", "lcf"))
    if len(vtc) < 2 or len(lcf) < 2:
        return missing("vtc and lcf")
    apart = max(abs(a / b - 1) for a, b in zip(vtc, lcf, strict=True))
    return verdict(apart <= 0.05, f"vtc {vtc[0]:.0f} and {vtc[1]:.0f}, lcf {lcf[0]:.0f} and {lcf[1]:.0f} a second")


def _weighted_shares(metrics: pl.DataFrame) -> Verdict:
    system = next((name for name in metrics["system"].unique() if "weights" in name), "")
    totals = _rows(metrics, system, "service_total").sort("client")["value"].to_list()
    if len(totals) < 4:
        return missing("the weighted system")
    shares = [total / totals[0] for total in totals]
    worst = max(abs(share / weight - 1) for weight, share in enumerate(shares, start=1))
    return verdict(worst <= 0.05, f"{':'.join(f'{share:.2f}' for share in shares)}, {100 * worst:.1f} % off")


def claim(id: str, statement: str, published: str, tolerance: str, judge: Callable[[pl.DataFrame], Verdict]) -> Claim:
    return Claim(id, statement, {PLATFORM: published}, tolerance, judge)


LESS = "Client {} waits ten times less than under FCFS"
BOUND = f"While both clients wait, VTC's service difference moves by less than 2U = {2 * U:,.0f}"
PROPORTIONAL = (
    claim("4 demand", "The light clients get what they ask for (1:2), client 3 the rest", "192, 384, 750", "5 %", _demand),
    claim("4 client 1", LESS.format(1), "4.8 s, 97 s", "none", lambda m: _ttft(m, LIGHT[0], 10)),
    claim("4 client 2", LESS.format(2), "4.9 s, 97 s", "none", lambda m: _ttft(m, LIGHT[1], 10)),
)
ON_OFF_LESS = (
    claim("5 total", "The service rate is the same whether client 1 is on or off", "1,300", "10 %", _steady_total),
    claim("5 absorbs", "Client 2 takes what client 1 leaves", "995 and 1,262", "correlation -0.9", _absorbs),
    claim("5 fast", LESS.format(1), "3.5 s, 85 s", "none", lambda m: _ttft(m, LIGHT[0], 10)),
)
ON_OFF_OVERLOAD = (
    claim("6 equal", "Equal service, since client 1 has a queue when it is off", "372,000 and 379,000", "5 %",
          lambda m: _equal_totals(m, 0.05)),
    claim("6 bound", BOUND, "8,700 in all; fcfs 370,000", "none: a theorem", _bounded),
)  # fmt: skip
SHORT_LONG = (
    claim("7 bound", BOUND, "largest 18,000 in all", "none: a theorem", _bounded),
    claim("7 linear", "FCFS's service difference grows linearly", "212,000 at 584 s", "R2 at least 0.95",
          lambda m: linear_growth(m, 0.95)),
)  # fmt: skip
PREFILL_DECODE = (
    claim("8 bound", BOUND, "largest 41,500 in all, smeared", "none: a theorem", _bounded),
    claim("8 linear", "FCFS's service difference grows linearly", "326,000 at 293 s", "R2 at least 0.95",
          lambda m: linear_growth(m, 0.95)),
)  # fmt: skip
INCREASE = (
    claim("9 flat", "Client 1's response time stays flat while client 2's grows", "0.35 s; mean 14.6 s", "2 s; 5x",
          _flat_response),
    claim("9 fast", LESS.format(1), "0.35 s, 7.2 s", "none", lambda m: _ttft(m, LIGHT[0], 10)),
)
SHIFT = (
    claim("10 evens", "From two minutes into phase 2 VTC serves both alike, LCF favours client 1", "676, 676; 771, 591",
          "5 %; 15 %", _evens_out),
    claim("10 alike", "In phase 3 both serve alike", "384, 975", "5 %", _alike_at_last),
)  # fmt: skip
WEIGHTED = (claim("16 shares", "Service in the ratio of the weights 1:2:3:4", "136, 272, 407, 543", "5 %", _weighted_shares),)
