"""Claims of ExFairS on its scenarios. A metrics frame has the rows of exps.exfairs.measures.measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.exfairs.causes import cause_of
from exps.exfairs.setup import BASELINES, BY_SEATS, CONTINUOUS, EXFAIRS, EXFAIRS_FORMS, TITLES

POINT = 0.01
GAIN = 0.14
Runs = Mapping[tuple[float, str], Mapping[str, float]]
Places = Sequence[tuple[float, str]]


def whole_runs(metrics: pl.DataFrame, axis: str = "scenario") -> dict[tuple[float, str], dict[str, float]]:
    """The rows of whole runs by axis value and system."""
    rows = metrics
    if "round" in metrics.columns:
        rows = metrics.filter(pl.col("client").is_null() & pl.col("round").is_null())
    return {(row[axis], row["system"]): row for row in rows.iter_rows(named=True)}


def fewer(runs: Runs, x: float, form: str) -> bool | None:
    """Whether a form of ExFairS violates less at x than every baseline, by a point of the submitted; None for want of runs."""
    if any((x, system) not in runs for system in (form, *BASELINES)):
        return None
    own = runs[x, form]["violation_share"]
    return all(own <= runs[x, system]["violation_share"] - POINT for system in BASELINES)


def index_of(run: Mapping[str, float | None]) -> float:
    """Jain's index of experience; the lowest where every client lost everything and none is defined."""
    return run["jain_experience"] or 0.0


def scenario_claims(names: Sequence[str]) -> tuple[Claim, ...]:
    """Claims 1 to 4 on the scenarios of these names, which the axis numbers from 1."""
    over = [(float(x), name) for x, name in enumerate(names, start=1)]
    forms = [claim(over, form) for claim in (_throughput, _experience, _divergence) for form in EXFAIRS_FORMS]
    return (*(_violations(x, name) for x, name in over), _continuous(over), _reaches_zero(over), _not_traded(over), *forms)


def _claim(id: str, statement: str, published: str, tolerance: str, judge: Callable[[Runs], Verdict]) -> Claim:
    def of_metrics(metrics: pl.DataFrame) -> Verdict:
        return judge(whole_runs(metrics))

    return Claim(id, statement, {setting.name: published for setting in BY_SEATS}, tolerance, of_metrics, cause_of(id))


def _violations(x: float, name: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        holds = fewer(runs, x, EXFAIRS)
        if holds is None:
            return missing(f"{name} of ExFairS, VTC, FCFS and round-robin")
        others = ", ".join(f"{TITLES[system]} {runs[x, system]['violations']:,}" for system in BASELINES)
        return verdict(holds, f"{runs[x, EXFAIRS]['violations']:,} of {runs[x, EXFAIRS]['submitted']:,}; {others}")

    return _claim(f"1 {name}", "SLO violations: ExFairS below VTC, FCFS and round-robin", "up to 100 % fewer",
                  "1 point of the submitted", judge)  # fmt: skip


def _continuous(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        found = {name: fewer(runs, x, CONTINUOUS) for x, name in over}
        if None in found.values():
            return missing("every scenario of ExFairS, continuous, and the baselines")
        least = {x: min(runs[x, system]["violations"] for system in BASELINES) for x, _ in over}
        counts = "; ".join(f"{name} {runs[x, CONTINUOUS]['violations']:,}, least other {least[x]:,}" for x, name in over)
        return verdict(all(found.values()), counts)

    return _claim("1 continuous", "The same of the continuous form, in every scenario", "up to 100 % fewer",
                  "1 point of the submitted", judge)  # fmt: skip


def _reaches_zero(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        own = {name: runs[x, EXFAIRS]["violations"] for x, name in over if (x, EXFAIRS) in runs}
        if not own:
            return missing("ExFairS")
        name = min(own, key=own.__getitem__)
        return verdict(own[name] == 0, f"at least {own[name]:,}, in {name}")

    return _claim("1 zero", "ExFairS reaches 0 violations in a scenario", "100 % fewer", "none", judge)


def _throughput(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        gains = {rate: _gains(runs, over, form, rate) for rate in ("tokens_per_s", "timely_per_s", "goodput_rps")}
        if not all(gains.values()):
            return missing("ExFairS and the baselines")
        names = {"tokens_per_s": "tokens/s", "timely_per_s": "requests within 30 s", "goodput_rps": "within SLO"}
        parts = (f"{names[rate]} {100 * min(of):+.1f} to {100 * max(of):+.1f} %" for rate, of in gains.items())
        return verdict(max(gains["tokens_per_s"]) >= 0.8 * GAIN, "; ".join(parts))

    return _claim(f"2 {TITLES[form]}", "Throughput above the best of VTC, FCFS and round-robin", "+14 to +21.9 %",
                  "20 % of +14, in a scenario", judge)  # fmt: skip


def _gains(runs: Runs, over: Places, form: str, rate: str) -> list[float]:
    """Relative gains over the best baseline; of scenarios in which that is above 0."""
    known = [x for x, _ in over if all((x, system) in runs for system in (form, *BASELINES))]
    best = {x: max(runs[x, system][rate] for system in BASELINES) for x in known}
    return [runs[x, form][rate] / best[x] - 1 for x in known if best[x] > 0]


def _not_traded(over: Places) -> Claim:
    def judge(runs: Runs) -> Verdict:
        gains = [gain for form in EXFAIRS_FORMS for gain in _gains(runs, over, form, "tokens_per_s")]
        return verdict(min(gains) >= -POINT, f"{100 * min(gains):+.2f} %") if gains else missing("ExFairS and the baselines")

    statement = "Throughput of both forms is that of the baselines"
    return _claim("2 not traded off", statement, "not traded off", "1 %", judge)


def _experience(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        known = [(x, name) for x, name in over if all((x, system) in runs for system in (form, *BASELINES))]
        if not known:
            return missing("ExFairS and the baselines")
        best = {x: max(index_of(runs[x, system]) for system in BASELINES) for x, _ in known}
        lost = [x for x, _ in known if runs[x, form]["violation_share"] == 1]
        own = {x: "all violated" if x in lost else f"{index_of(runs[x, form]):.2f}" for x, _ in known}
        highest = all(x not in lost and index_of(runs[x, form]) >= best[x] - POINT for x, _ in known)
        return verdict(highest, "; ".join(f"{name} {own[x]}, best other {best[x]:.2f}" for x, name in known))

    return _claim(f"3 {TITLES[form]}", "Jain's index of the shares within SLO is the highest", "highest", "0.01", judge)


def _divergence(over: Places, form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        own = [runs[x, form] for x, _ in over if (x, form) in runs]
        if not own:
            return missing(TITLES[form])
        exchanged, needless = (sum(run[name] for run in own) for name in ("exchanged", "needless"))
        return verdict(needless == 0, f"{needless:.0f} of {exchanged:.0f} exchanges in rounds with like violations")

    return _claim(f"4 {TITLES[form]}", "Priorities move only where the clients' violations differ", "0", "none", judge)
