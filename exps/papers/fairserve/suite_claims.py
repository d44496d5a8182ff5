"""FairServe's claims on the overload suites, and on what a request is charged."""

from __future__ import annotations

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.numbers import Numbers
from exps.figures.vocabulary import apart, listed
from exps.papers.fairserve import why
from exps.papers.fairserve.claims import claim
from exps.papers.fairserve.points import FAIRSERVE, LIMIT, RPM, VTC, WL

CALM_RPS, TOP_RPS, ASKED = 1.0, 24.0, 8 * (50 + 2 * 50)
UNPREFERRED = "fairserve,order=fairserve(prefer=false)"


def _calm(numbers: Numbers) -> Verdict:
    ours, rpm, always = found = [numbers.at(name, "aborted_requests", rps=CALM_RPS) for name in (FAIRSERVE, RPM, WL)]
    return verdict(ours == 0 < min(rpm, always), listed(found, "d"))


def _of_both(numbers: Numbers, system: str, measure: str) -> list[float]:
    return [numbers.at(system, f"{measure}_{client}", rps=TOP_RPS) for client in (1, 2)]


def _equal(numbers: Numbers, system: str) -> Verdict:
    first, second = both = _of_both(numbers, system, "normalised")
    return verdict(apart(both) <= 0.1, f"{first:,.4g} and {second:,.4g} a second ({100 * apart(both):.0f} % apart)")


def _satisfies(numbers: Numbers) -> Verdict:
    first, second = _of_both(numbers, VTC, "weighted")
    return verdict(second >= 0.9 * min(first, ASKED), f"{first:,.0f} and {second:,.0f} a second")


def _fifty(numbers: Numbers) -> Verdict:
    ours, rpm = (numbers.at(system, "wasted_prompt_tokens", limit=LIMIT) for system in (FAIRSERVE, RPM))
    return verdict(ours == 0 < rpm, f"{ours:,.0f}; RPM {rpm:,.0f}")


OVERLOAD2: tuple[Claim, ...] = (
    claim("5 no overload", "Without overload FairServe aborts nothing at a limit of 10, unlike RPM and FS (W+L)", "0", "none",
          _calm),
    claim("7 normalised", "FairServe gives overloaded clients of different applications equal normalised service", "equal",
          "10 %", lambda numbers: _equal(numbers, FAIRSERVE), why.PREFERRED),
    claim("7 nobody preferred", "The same of FairServe without its preference for interactions under way", "-", "10 %",
          lambda numbers: _equal(numbers, UNPREFERRED)),
    claim("7 weighted", f"VTC gives them equal weighted tokens, or all {ASKED:,} a second that client 2 asks for", "equal",
          "10 %", _satisfies),
)
OVERLOAD50: tuple[Claim, ...] = (claim("2 no waste", "FairServe wastes nothing, RPM does", "0", "none", _fifty),)
