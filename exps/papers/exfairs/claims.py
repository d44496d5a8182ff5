"""Claims of ExFairS on its scenarios. A metrics frame has the rows of exps.papers.exfairs.measures.measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.papers.exfairs.causes import cause_of
from exps.papers.exfairs.setup import BASELINES, BY_SEATS, CONTINUOUS, EXFAIRS, EXFAIRS_FORMS, TITLES

POINT = 0.01
GAIN = 0.14
Places = Mapping[float, str]
"""Names of scenarios by their number, the value of the axis."""


class Runs(dict[tuple[float, str], dict[str, Any]]):
    """The rows of whole runs by value of the axis and system."""

    @classmethod
    def of(cls, numbers: Numbers, axis: str) -> Runs:
        parts = [pl.col(name).is_null() for name in ("client", "round") if name in numbers.frame.columns]
        return cls({(row[axis], row["system"]): row for row in numbers.frame.filter(*parts).iter_rows(named=True)})

    def __missing__(self, key: tuple[float, str]) -> dict[str, Any]:
        raise MissingError(f"{TITLES[key[1]]} at {key[0]:g}")

    def beside(self, xs: Iterable[float], *systems: str) -> list[float]:
        """The values at which all these systems ran."""
        there = [x for x in xs if all((x, system) in self for system in systems)]
        if not there:
            raise MissingError(", ".join(TITLES[system] for system in systems))
        return there


def fewer(runs: Runs, x: float, form: str) -> bool:
    """Whether a form of ExFairS violates less at x than every baseline, by a point of the submitted."""
    least: float = min(runs[x, system]["violation_share"] for system in BASELINES)
    return bool(runs[x, form]["violation_share"] <= least - POINT)


def violations(runs: Runs, x: float, form: str) -> str:
    """As in "100 of 1,000; VTC 200, FCFS 300"."""
    others = ", ".join(f"{TITLES[system]} {runs[x, system]['violations']:,}" for system in BASELINES)
    return f"{runs[x, form]['violations']:,} of {runs[x, form]['submitted']:,}; {others}"


def no_needless_exchange(runs: Runs, xs: Iterable[float], form: str) -> Verdict:
    """Whether every exchange had a reason in the clients' violations."""
    own = [runs[x, form] for x in runs.beside(xs, form)]
    exchanged, needless = (sum(run[name] for run in own) for name in ("exchanged", "needless"))
    return verdict(needless == 0, f"{needless:.0f} of {exchanged:.0f} exchanges in rounds with like violations")


def index_of(run: dict[str, Any]) -> float:
    """Jain's index of experience; the lowest where every client lost everything and none is defined."""
    return run["jain_experience"] or 0.0


def scenario_claims(names: Sequence[str]) -> tuple[Claim, ...]:
    """Claims 1 to 4 on the scenarios of these names, which the axis numbers from 1."""
    over = {float(x): name for x, name in enumerate(names, start=1)}
    forms = [claim(over, form) for claim in (_throughput, _experience, _divergence) for form in EXFAIRS_FORMS]
    each = (_violations(x, name) for x, name in over.items())
    return (*each, _continuous(over), _reaches_zero(over), _not_traded(over), *forms)


def _claim(id: str, statement: str, published: str, tolerance: str, judge: Callable[[Runs], Verdict]) -> Claim:
    everywhere = {setting.name: published for setting in BY_SEATS}
    return Claim(id, statement, everywhere, tolerance, lambda numbers: judge(Runs.of(numbers, "scenario")), cause_of(id))


def _violations(x: float, name: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        return verdict(fewer(runs, x, EXFAIRS), violations(runs, x, EXFAIRS))

    return _claim(f"1 {name}", "SLO violations: ExFairS below VTC, FCFS and round-robin", "up to 100 % fewer",
                  "1 point of the submitted", judge)


def _continuous(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        holds = [fewer(runs, x, CONTINUOUS) for x in over]
        least = {x: min(runs[x, system]["violations"] for system in BASELINES) for x in over}
        counts = (f"{name} {runs[x, CONTINUOUS]['violations']:,}, least other {least[x]:,}" for x, name in over.items())
        return verdict(all(holds), "; ".join(counts))

    return _claim("1 continuous", "The same of the continuous form, in every scenario", "up to 100 % fewer",
                  "1 point of the submitted", judge)


def _reaches_zero(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        x = min(runs.beside(over, EXFAIRS), key=lambda x: runs[x, EXFAIRS]["violations"])
        own = runs[x, EXFAIRS]["violations"]
        return verdict(own == 0, f"at least {own:,}, in {over[x]}")

    return _claim("1 zero", "ExFairS reaches 0 violations in a scenario", "100 % fewer", "none", judge)


def _throughput(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        names = {"tokens_per_s": "tokens/s", "timely_per_s": "requests within 30 s", "goodput_rps": "within SLO"}
        gains = {rate: _gains(runs, over, form, rate) for rate in names}
        parts = (f"{names[rate]} {100 * min(of):+.1f} to {100 * max(of):+.1f} %" for rate, of in gains.items())
        return verdict(max(gains["tokens_per_s"]) >= 0.8 * GAIN, "; ".join(parts))

    return _claim(f"2 {TITLES[form]}", "Throughput above the best of VTC, FCFS and round-robin", "+14 to +21.9 %",
                  "20 % of +14, in a scenario", judge)


def _gains(runs: Runs, over: Places, form: str, rate: str) -> list[float]:
    """Relative gains over the best baseline; of scenarios in which that is above 0."""
    xs = runs.beside(over, form, *BASELINES)
    best = {x: max(runs[x, system][rate] for system in BASELINES) for x in xs}
    return [runs[x, form][rate] / best[x] - 1 for x in xs if best[x] > 0]


def _not_traded(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        gains = [gain for form in EXFAIRS_FORMS for gain in _gains(runs, over, form, "tokens_per_s")]
        return verdict(min(gains) >= -POINT, f"{100 * min(gains):+.2f} %")

    statement = "Throughput of both forms is that of the baselines"
    return _claim("2 not traded off", statement, "not traded off", "1 %", judge)


def _experience(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        xs = runs.beside(over, form, *BASELINES)
        best = {x: max(index_of(runs[x, system]) for system in BASELINES) for x in xs}
        lost = [x for x in xs if runs[x, form]["violation_share"] == 1]
        own = {x: "all violated" if x in lost else f"{index_of(runs[x, form]):.2f}" for x in xs}
        highest = all(x not in lost and index_of(runs[x, form]) >= best[x] - POINT for x in xs)
        return verdict(highest, "; ".join(f"{over[x]} {own[x]}, best other {best[x]:.2f}" for x in xs))

    return _claim(f"3 {TITLES[form]}", "Jain's index of the shares within SLO is the highest", "highest", "0.01", judge)


def _divergence(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        return no_needless_exchange(runs, over, form)

    return _claim(f"4 {TITLES[form]}", "Priorities move only where the clients' violations differ", "0", "none", judge)
