"""Claims on VTC's synthetic suites. A metrics frame has the rows of exps.papers.vtc.measures."""

from __future__ import annotations

import numpy as np
import polars as pl

from exps.figures.claims import Judge, Verdict, verdict
from exps.figures.numbers import Numbers
from exps.figures.vocabulary import apart, listed, off
from exps.papers.vtc.claims import U, claim, grows_linearly, same_service

LIGHT = ("client-1", "client-2")


def _ten_times_less(client: str) -> Judge:
    """Whether the client waits ten times less under VTC than under FCFS."""

    def judge(numbers: Numbers) -> Verdict:
        ours, theirs = (numbers.at(system, "mean_ttft_s", client=client) for system in ("vtc", "fcfs"))
        return verdict(theirs >= 10 * ours, f"{ours:.2f} s, fcfs {theirs:.1f} s: {theirs / ours:.0f}x")

    return judge


def _bounded(numbers: Numbers) -> Verdict:
    change, largest = (numbers.at("vtc", metric) for metric in ("backlogged_change", "largest_difference"))
    return verdict(change < 2 * U, f"{change:,.0f} while both wait; {largest:,.0f} in all")


def _demand(numbers: Numbers) -> Verdict:
    rows = numbers.rows("vtc", "service_total", least=3)
    first, second, third = rates = rows.sort("client").select(pl.col("value") / pl.col("time_s"))["value"].to_list()
    holds = abs(second / first - 2) <= 0.1 and abs(first / 193 - 1) <= 0.05 and third > sum(rates) / 3
    return verdict(holds, f"{listed(rates, '.0f')} a second")


def _steady_total(numbers: Numbers) -> Verdict:
    rates = numbers.rows("vtc", "service_per_s", least=3).group_by("time_s").agg(pl.col("value").sum())["value"].to_list()
    ours = f"{sum(rates) / len(rates):.0f} a second, {100 * apart(rates):.1f} % from least to most"
    return verdict(apart(rates) <= 0.1, ours)


def _absorbs(numbers: Numbers) -> Verdict:
    first, second = (numbers.series("vtc", "service_per_s", least=3, client=client)[1] for client in LIGHT)
    relation = float(np.corrcoef(first, second)[0, 1])
    return verdict(relation <= -0.9, f"correlation {relation:.2f}")


def _flat_response(numbers: Numbers) -> Verdict:
    """Client 1's response time does not move while client 2's rises."""
    steady, rising = (numbers.series("vtc", "response_s", least=4, client=client)[1] for client in LIGHT)
    half = len(rising) // 2
    holds = steady.max() <= 2.0 and rising[half:].mean() >= 5 * rising[:half].mean()
    return verdict(bool(holds), f"client 1 at most {steady.max():.2f} s, client 2 up to {rising.max():.0f} s")


def _served(numbers: Numbers, system: str, begin_s: float, end_s: float) -> list[float]:
    """The mean service rate of both clients from begin to end."""
    return [numbers.mean(system, "service_per_s", begin_s, end_s, client=client) for client in LIGHT]


def _rates(vtc: list[float], lcf: list[float]) -> str:
    return f"vtc {listed(vtc, '.0f', ' and ')}, lcf {listed(lcf, '.0f', ' and ')} a second"


def _evens_out(numbers: Numbers) -> Verdict:
    """After two minutes of the second of three phases."""
    vtc, lcf = (_served(numbers, system, 420 + 30, 600 - 30) for system in ("vtc", "lcf"))
    return verdict(abs(vtc[0] / vtc[1] - 1) <= 0.05 and lcf[0] / lcf[1] >= 1.15, _rates(vtc, lcf))


def _alike_at_last(numbers: Numbers) -> Verdict:
    vtc, lcf = (_served(numbers, system, 780, 870) for system in ("vtc", "lcf"))
    return verdict(off(vtc, lcf) <= 0.05, _rates(vtc, lcf))


def _weighted_shares(numbers: Numbers) -> Verdict:
    system = next((name for name in numbers.frame["system"].unique() if "weights" in name), "the weighted system")
    first, *others = numbers.each(system, "service_total", "client", least=4).values()
    shares = [total / first for total in (first, *others)]
    worst = off(shares, (1, 2, 3, 4))
    return verdict(worst <= 0.05, f"{listed(shares, '.2f', ':')}, {100 * worst:.1f} % off")


LESS = "Client {} waits ten times less than under FCFS"
BOUND = f"While both clients wait, VTC's service difference moves by less than 2U = {2 * U:,.0f}"
PROPORTIONAL = (
    claim("4 demand", "The light clients get what they ask for (1:2), client 3 the rest", "192, 384, 750", "5 %", _demand),
    claim("4 client 1", LESS.format(1), "4.8 s, 97 s", "none", _ten_times_less(LIGHT[0])),
    claim("4 client 2", LESS.format(2), "4.9 s, 97 s", "none", _ten_times_less(LIGHT[1])),
)
ON_OFF_LESS = (
    claim("5 total", "The service rate is the same whether client 1 is on or off", "1,300", "10 %", _steady_total),
    claim("5 absorbs", "Client 2 takes what client 1 leaves", "995 and 1,262", "correlation -0.9", _absorbs),
    claim("5 fast", LESS.format(1), "3.5 s, 85 s", "none", _ten_times_less(LIGHT[0])),
)
ON_OFF_OVERLOAD = (
    claim("6 equal", "Equal service, since client 1 has a queue when it is off", "372,000 and 379,000", "5 %",
          same_service),
    claim("6 bound", BOUND, "8,700 in all; fcfs 370,000", "none: a theorem", _bounded),
)
SHORT_LONG = (
    claim("7 bound", BOUND, "largest 18,000 in all", "none: a theorem", _bounded),
    claim("7 linear", "FCFS's service difference grows linearly", "212,000 at 584 s", "R2 at least 0.95",
          grows_linearly(0.95)),
)
PREFILL_DECODE = (
    claim("8 bound", BOUND, "largest 41,500 in all, smeared", "none: a theorem", _bounded),
    claim("8 linear", "FCFS's service difference grows linearly", "326,000 at 293 s", "R2 at least 0.95",
          grows_linearly(0.95)),
)
INCREASE = (
    claim(
        "9 flat",
        "Client 1's response time stays flat while client 2's grows",
        "0.35 s; mean 14.6 s",
        "2 s; 5x",
        _flat_response,
    ),
    claim("9 fast", LESS.format(1), "0.35 s, 7.2 s", "none", _ten_times_less(LIGHT[0])),
)
SHIFT = (
    claim("10 evens", "From two minutes into phase 2 VTC serves both alike, LCF favours client 1", "676, 676; 771, 591",
          "5 %; 15 %", _evens_out),
    claim("10 alike", "In phase 3 both serve alike", "384, 975", "5 %", _alike_at_last),
)
WEIGHTED = (claim("16 shares", "Service in the ratio of the weights 1:2:3:4", "136, 272, 407, 543", "5 %", _weighted_shares),)
