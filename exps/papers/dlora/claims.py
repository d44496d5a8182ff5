"""dLoRA's claims. A metrics frame has the rows of exps.papers.dlora.measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exps.figures.claims import UNPUBLISHED, Claim, Judge, Verdict, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.figures.vocabulary import listed, times
from exps.papers.dlora.causes import DRAWN, SKEWED, SOON, UNLOADED
from exps.papers.dlora.setup import COPIES, DLORA, LEAST_COST, LLAMA_7B, MERGED, PEFT, PROACTIVE, UNMERGED

SLO_S = 0.5
STRIDES = (4.0, 8.0, 16.0, 32.0)
MEAN = "mean_s_per_token"


def claim(
    id: str, statement: str, published: str, tolerance: str, judge: Judge, cause: str = "", given: bool = False
) -> Claim:
    """A claim of a figure on the 7B model."""
    return Claim(id, statement, {LLAMA_7B.name: published}, tolerance, judge, cause, given)


def knee(numbers: Numbers, system: str) -> float:
    """The rate at which the mean latency crosses 0.5 s a token, between the points by a straight line; the last rate where it
    stays below, the first where it is always above."""
    points = numbers.each(system, MEAN, "rps", least=2)
    rates, values = np.array(list(points)), np.array(list(points.values()))
    above = np.flatnonzero(values > SLO_S)
    if not above.size or above[0] == 0:
        return float(rates[-1] if not above.size else rates[0])
    i = above[0]
    return float(np.interp(SLO_S, values[i - 1 : i + 1], rates[i - 1 : i + 1]))


def _knees(other: str, least: float) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        ours, theirs = knee(numbers, DLORA), knee(numbers, other)
        return verdict(ours >= least * theirs, f"{ours:.1f} and {theirs:.1f} requests/s: {times(ours, theirs):.1f}x")

    return judge


def _over_strides(numbers: Numbers, system: str, metric: str = MEAN) -> list[float]:
    return numbers.over(system, metric, "stride", STRIDES)


def _improves(metric: str) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        values = _over_strides(numbers, MERGED, metric)
        return verdict(values[-1] < values[0] and values == sorted(values, reverse=True), listed(values, ".2f", " > "))

    return judge


def _worsens(metric: str) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        values = _over_strides(numbers, UNMERGED, metric)
        return verdict(values[0] <= values[-1] <= 1.3 * values[0], listed(values, ".2f"))

    return judge


def _crosses(metric: str) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        merged, unmerged = _over_strides(numbers, MERGED, metric), _over_strides(numbers, UNMERGED, metric)
        ahead = [a < b for a, b in zip(merged, unmerged, strict=True)]
        shown = ", ".join(f"{a:.2f} and {b:.2f}" for a, b in zip(merged, unmerged, strict=True))
        return verdict(ahead == [False, False, True, True], f"merged and unmerged {shown}")

    return judge


def _below_both(metric: str) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        ours = _over_strides(numbers, DLORA, metric)
        merged, unmerged = _over_strides(numbers, MERGED, metric), _over_strides(numbers, UNMERGED, metric)
        others = map(min, merged, unmerged)
        gains = [times(b, a) for a, b in zip(ours, others, strict=True)]
        return verdict(min(gains) > 1, f"{listed(ours, '.2f')}: {min(gains):.2f} to {max(gains):.2f}x")

    return judge


def skew_claims(name: str, metric: str, merged: str, unmerged: str, ours: str) -> tuple[Claim, ...]:
    """Those of Figure 10, by mean or by 90th percentile."""
    return (
        claim(f"2 {name} merged", "Merged-only improves with the skew", merged, "none", _improves(metric), SKEWED),
        claim(f"2 {name} unmerged", "Unmerged-only worsens slightly with the skew", unmerged, "30 %", _worsens(metric)),
        claim(f"2 {name} crossing", "Merged-only overtakes unmerged-only between strides 8 and 16", "between 8 and 16", "none",
              _crosses(metric), SKEWED),
        claim(f"2 {name} dLoRA", "dLoRA is below both at every stride", ours, "none", _below_both(metric)),
    )


def _common(numbers: Numbers, *systems: str) -> list[float]:
    """Rates at which all of these ran."""
    rates = [set(numbers.each(system, "queueing_s_per_token", "rps")) for system in systems]
    there = sorted(set.intersection(*rates))
    if not there:
        raise MissingError(f"a rate at which {' and '.join(systems)} ran")
    return there


def _delays(numbers: Numbers, systems: Sequence[str], rate: float) -> list[float]:
    return [numbers.at(system, "queueing_s_per_token", rps=rate) for system in systems]


def _ordered(*systems: str) -> Judge:
    """Whether queueing delays descend from the first system to the last at every rate at which they wait."""

    def judge(numbers: Numbers) -> Verdict:
        rates = _common(numbers, *systems)
        delays = {rate: _delays(numbers, systems, rate) for rate in rates}
        busy = {rate: found for rate, found in delays.items() if max(found) >= WAITS_S}
        if not busy:
            raise MissingError("a rate at which requests wait")
        shown = "; ".join(f"{rate:g}: {listed(found, '.3f', ' > ')}" for rate, found in busy.items())
        return verdict(all(found == sorted(found, reverse=True) for found in busy.values()), shown)

    return judge


WAITS_S = 0.05
"""A queueing delay, in seconds a token, below which orders say nothing."""


def _alike(numbers: Numbers) -> Verdict:
    proactive, ours = _delays(numbers, (PROACTIVE, DLORA), 8.0)
    return verdict(abs(proactive - ours) <= WAITS_S, f"{proactive:.3f} and {ours:.3f} s a token")


def _grows(system: str, least: float, most: float) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        first, last = numbers.over(system, MEAN, "ratio", (1.0, 8.0))
        return verdict(least <= times(last, first) <= most, f"{first:.2f} to {last:.2f} s a token: {times(last, first):.1f}x")

    return judge


def _flat(numbers: Numbers) -> Verdict:
    values = list(numbers.each(DLORA, "requests_per_s", "adapters", least=2).values())
    spread = max(values) / min(values) - 1
    return verdict(spread <= 0.05, f"{listed(values, '.2f')}: {100 * spread:.1f} %")


def _declines(numbers: Numbers) -> Verdict:
    found = {name: list(numbers.each(name, "requests_per_s", "adapters", least=2).values()) for name in (COPIES, PEFT)}
    shown = "; ".join(f"{name} {listed(values, '.2f')}" for name, values in found.items())
    return verdict(all(values[-1] < values[0] for values in found.values()), shown)


def _small(numbers: Numbers) -> Verdict:
    points = {name: numbers.each(DLORA, name, "rps") for name in ("adjust_s", "solver_s", "total_s")}
    parts = [100 * (points["adjust_s"][rate] + points["solver_s"][rate]) / total for rate, total in points["total_s"].items()]
    return verdict(max(parts) <= 5, f"at most {max(parts):.2f} % of the run")


def _apart(numbers: Numbers) -> Verdict:
    shares = list(numbers.each(COPIES, "queueing_share_pct", "replica", least=2).values())
    return verdict(max(shares) - min(shares) >= 40, f"{min(shares):.0f} to {max(shares):.0f} %")


def _costly(numbers: Numbers) -> Verdict:
    shares = list(numbers.each(UNMERGED, "share_pct", "batch", least=2).values())
    flat = max(shares) <= 1.15 * min(shares)
    return verdict(flat and min(shares) >= 20, f"{min(shares):.0f} to {max(shares):.0f} % of the base model's step")


FIG2B_CLAIMS = (
    claim("8 static", "Replicas with fixed models differ widely in the share of latency that is queueing", "11 to 87 %",
          "40 points", _apart),
)
FIG5_CLAIMS = (
    claim("7 kernel", "Unmerged adapters cost a large part of the base model's time, flat in the batch", "39 %, one layer",
          "at least 20 %, 15 % apart", _costly, given=True),
)
FIG9A_CLAIMS = (
    claim("1 vLLM", "dLoRA's latency knee is at a far higher rate than vLLM's with a model for each adapter",
          "61.8 and 7.6 requests/s: 8.1x", "half of the ratio", _knees(COPIES, 4.0)),
    claim("1 PEFT", "dLoRA's latency knee is at a far higher rate than PEFT's", "61.8 and 5.4 requests/s: 11.5x",
          "half of the ratio", _knees(PEFT, 5.7)),
)
FIG11A_CLAIMS = (
    claim("3 RR", "Least cost (RR) waits longer than Proactive wherever requests wait", "at 12: longer", "none",
          _ordered(LEAST_COST, PROACTIVE)),
    claim("3 proactive", "Proactive waits longer than dLoRA wherever requests wait", "at 12 to 32: 2 to 5x", "none",
          _ordered(PROACTIVE, DLORA), SOON),
    claim("3 alike", "At 8 requests/s Proactive and dLoRA are alike", "0.017 and 0.023", f"{WAITS_S} s a token", _alike),
)
FIG11B_CLAIMS = (
    claim("4 RR", "Least cost (RR) grows at least twofold from ratio 1 to 8", "10.8 to 31.0: 2.9x", "2x",
          _grows(LEAST_COST, 2.0, np.inf)),
    claim("4 dLoRA", "dLoRA grows at most 1.7 times", "2.4 to 3.5: 1.5x", "1.7x", _grows(DLORA, 0.0, 1.7),
          UNLOADED),
)
BUSY_CLAIMS = (
    claim("4 dLoRA, busy", "dLoRA grows at most 1.7 times where requests wait at every ratio", UNPUBLISHED, "1.7x",
          _grows(DLORA, 0.0, 1.7)),
)
FIG12_CLAIMS = (
    claim("5 flat", "dLoRA's throughput is flat from 16 to 128 adapters", "12.77, 12.78, 12.96, 12.49: 4 %", "5 %", _flat,
          DRAWN),
    claim("5 baselines", "The baselines' throughput declines from 16 to 128 adapters",
          "vLLM 1.77 to 0.82, PEFT 2.54 to 1.67", "none", _declines, DRAWN),
)
FIG13_CLAIMS = (
    claim("6 overhead", "Solving and switching are a few per cent of the run", "at most 3.3 %", "5 %", _small),
)
