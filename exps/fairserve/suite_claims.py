"""FairServe's claims on the overload suites, and on what a request is charged."""

from __future__ import annotations

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.fairserve import why
from exps.fairserve.claims import claim, value
from exps.fairserve.points import FAIRSERVE, LIMIT, RPM, VTC, WL

CALM_RPS, TOP_RPS, ASKED = 1.0, 24.0, 8 * (50 + 2 * 50)
UNPREFERRED = "fairserve,order=fairserve(prefer=false)"


def _calm(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter(rps=CALM_RPS)
    found = {name: rows.filter(system=name)["aborted_requests"].to_list() for name in (FAIRSERVE, RPM, WL)}
    if any(len(numbers) != 1 for numbers in found.values()):
        return missing("FairServe, RPM and FS (W+L) at 1 request a second")
    ours, rpm, always = (numbers[0] for numbers in found.values())
    return verdict(ours == 0 < min(rpm, always), f"{ours}, {rpm}, {always}")


def _equal(metrics: pl.DataFrame, system: str, measure: str) -> Verdict:
    rows = metrics.filter((pl.col("rps") == TOP_RPS) & (pl.col("system") == system))
    if rows.is_empty():
        return missing(f"{system} at 24 requests a second")
    first, second = (rows[f"{measure}_{number}"][0] for number in (1, 2))
    apart = abs(first - second) / ((first + second) / 2)
    return verdict(apart <= 0.1, f"{first:,.4g} and {second:,.4g} a second ({100 * apart:.0f} % apart)")


def _satisfies(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter((pl.col("rps") == TOP_RPS) & (pl.col("system") == VTC))
    if rows.is_empty():
        return missing("VTC at 24 requests a second")
    first, second = (rows[f"weighted_{number}"][0] for number in (1, 2))
    return verdict(second >= 0.9 * min(first, ASKED), f"{first:,.0f} and {second:,.0f} a second")


def _fifty(metrics: pl.DataFrame) -> Verdict:
    ours, rpm = (value(metrics, system, LIMIT, "wasted_prompt_tokens") for system in (FAIRSERVE, RPM))
    if ours is None or rpm is None:
        return missing("RPM and FairServe")
    return verdict(ours == 0 < rpm, f"{ours:,.0f}; RPM {rpm:,.0f}")


OVERLOAD2: tuple[Claim, ...] = (
    claim("5 no overload", "Without overload FairServe aborts nothing at a limit of 10, unlike RPM and FS (W+L)", "0", "none",
          _calm),
    claim("7 normalised", "FairServe gives overloaded clients of different applications equal normalised service", "equal",
          "10 %", lambda metrics: _equal(metrics, FAIRSERVE, "normalised"), why.PREFERRED),
    claim("7 nobody preferred", "The same of FairServe without its preference for interactions under way", "-", "10 %",
          lambda metrics: _equal(metrics, UNPREFERRED, "normalised")),
    claim("7 weighted", f"VTC gives them equal weighted tokens, or all {ASKED:,} a second that client 2 asks for", "equal",
          "10 %", _satisfies),
)  # fmt: skip
OVERLOAD50: tuple[Claim, ...] = (
    claim("2 no waste", "FairServe wastes nothing, RPM does", "0", "none", _fifty),
)
