"""Claims of ExFairS on its sweeps. A metrics frame has the rows of exps.exfairs.measures.sweep_measure."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.exfairs.causes import cause_of
from exps.exfairs.claims import GAIN, POINT, Runs, fewer, index_of, whole_runs
from exps.exfairs.setup import (
    BASELINES,
    CONTINUOUS,
    EXFAIRS,
    EXFAIRS_FORMS,
    FCFS,
    PENALIZED,
    SETTINGS,
    SLO_ONLY,
    TITLES,
    VARIANTS,
)

OPEN = (0.05, 0.95)
COUNTED = {"30 s": ("timely_per_s", "within the artifact's time-out of 30 s"), "SLO": ("goodput_rps", "within their SLO")}
Judge = Callable[[Runs], Verdict]


def _claim(id: str, axis: str, statement: str, published: str, tolerance: str, judge: Judge) -> Claim:
    def of_metrics(metrics: pl.DataFrame) -> Verdict:
        return judge(whole_runs(metrics, axis))

    everywhere = {setting.name: published for setting in SETTINGS}
    return Claim(id, statement, everywhere, tolerance, of_metrics, cause_of(id))


def _over(runs: Runs, system: str) -> list[float]:
    return sorted(x for x, name in runs if name == system)


def _fewer_where_open(form: str, axis: str) -> Claim:
    """Where FCFS violates between 5 and 95 %, so that an order can make a difference."""

    def judge(runs: Runs) -> Verdict:
        there = [x for x in _over(runs, FCFS) if OPEN[0] < runs[x, FCFS]["violation_share"] < OPEN[1]]
        found = {x: fewer(runs, x, form) for x in there}
        if not found or None in found.values():
            return missing("a value at which FCFS violates some, with ExFairS and the baselines")
        holds = [f"{x:g}" for x in there if found[x]]
        return verdict(len(holds) == len(there), f"at {len(holds)} of {len(there)} values: {', '.join(holds) or 'none'}")

    return _claim(f"1 {TITLES[form]}", axis, "Below VTC, FCFS and round-robin wherever FCFS violates 5 to 95 %",
                  "up to 100 % fewer", "1 point of the submitted", judge)  # fmt: skip


def _vanishes(form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        loads = [x for x in _over(runs, form) if (x, FCFS) in runs]
        if len(loads) < 3:
            return missing(f"{TITLES[form]} and FCFS at three loads")
        gains = [runs[x, FCFS]["violation_share"] - runs[x, form]["violation_share"] for x in loads]
        most = max(gains[1:-1])
        ours = ", ".join(f"{100 * gain:+.1f} at {x:g}" for x, gain in zip(loads, gains, strict=True))
        return verdict(most >= POINT and max(gains[0], gains[-1]) <= most / 4, f"points fewer than FCFS: {ours}")

    return _claim(f"6 {TITLES[form]}", "load", "The benefit vanishes at low load and at extreme overload", "vanishes",
                  "largest of 1 point or more, ends below a quarter of it", judge)  # fmt: skip


def _mid_range(form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        alphas = _over(runs, form)
        if len(alphas) < 3:
            return missing(f"{TITLES[form]} at three values of alpha")
        shares = [runs[alpha, form]["violation_share"] for alpha in alphas]
        counts = ", ".join(f"{runs[alpha, form]['violations']:,} at {alpha:g}" for alpha in alphas)
        return verdict(min(shares[1:-1]) <= min(shares[0], shares[-1]) - POINT, counts)

    return _claim(f"5 {TITLES[form]}", "alpha", "Violations are fewest at an alpha between 0 and 1", "mid-range best",
                  "1 point of the submitted", judge)  # fmt: skip


def _beside(form: str, show: Callable[[Runs, float], Verdict]) -> Judge:
    """Judge at the load at which there are runs of a form and of every baseline."""

    def judge(runs: Runs) -> Verdict:
        there = [x for x in _over(runs, form) if all((x, system) in runs for system in BASELINES)]
        return show(runs, there[0]) if there else missing(f"{TITLES[form]}, VTC, FCFS and round-robin")

    return judge


def _violates_less(form: str) -> Claim:
    def show(runs: Runs, x: float) -> Verdict:
        others = ", ".join(f"{TITLES[system]} {runs[x, system]['violations']:,}" for system in BASELINES)
        ours = f"{runs[x, form]['violations']:,} of {runs[x, form]['submitted']:,}; {others}"
        return verdict(bool(fewer(runs, x, form)), ours)

    statement = "SLO violations below VTC, FCFS and round-robin"
    return _claim(f"1 {TITLES[form]}", "load", statement, "up to 100 % fewer", "1 point of the submitted", _beside(form, show))


def _faster(form: str, within: str) -> Claim:
    rate, counted = COUNTED[within]

    def show(runs: Runs, x: float) -> Verdict:
        best = max(runs[x, system][rate] for system in BASELINES)
        gain = runs[x, form][rate] / best - 1 if best else 0.0
        return verdict(gain >= 0.8 * GAIN, f"{runs[x, form][rate]:.3f}, best other {best:.3f}: {100 * gain:+.1f} %")

    statement = f"Requests/s {counted}, above the best of VTC, FCFS and round-robin"
    return _claim(
        f"2 {TITLES[form]}, within {within}", "load", statement, "+14 to +21.9 %", "20 % of +14", _beside(form, show)
    )


def _fairest(form: str) -> Claim:
    def show(runs: Runs, x: float) -> Verdict:
        own = index_of(runs[x, form])
        others = {TITLES[system]: index_of(runs[x, system]) for system in BASELINES}
        listed = ", ".join(f"{name} {index:.3f}" for name, index in others.items())
        return verdict(own >= max(others.values()), f"{own:.3f}; {listed}")

    statement = "Jain's index of the shares within SLO is the highest"
    return _claim(f"3 {TITLES[form]}", "load", statement, "highest", "none", _beside(form, show))


def _divergence(form: str) -> Claim:
    """Which exchanges had no reason in the clients' violations."""

    def judge(runs: Runs) -> Verdict:
        own = [runs[x, form] for x in _over(runs, form)]
        if not own:
            return missing(TITLES[form])
        needless, exchanged = (sum(run[name] for run in own) for name in ("needless", "exchanged"))
        return verdict(needless == 0, f"{needless:.0f} of {exchanged:.0f} exchanges in rounds with like violations")

    statement = "Priorities move only where the clients' violations differ"
    return _claim(f"4 {TITLES[form]}", "load", statement, "0", "none", judge)


SLO_CLAIMS = tuple(_fewer_where_open(form, "slo_scale") for form in EXFAIRS_FORMS)
LOAD_CLAIMS = tuple(
    claim for form in (EXFAIRS, PENALIZED, CONTINUOUS) for claim in (_fewer_where_open(form, "load"), _vanishes(form))
)
BOTH_SIGNS = (EXFAIRS, PENALIZED)
ALPHA_CLAIMS = tuple(_mid_range(form) for form in BOTH_SIGNS)
ABLATION_CLAIMS = (
    *(_violates_less(form) for form in VARIANTS),
    *(_faster(form, within) for form in BOTH_SIGNS for within in COUNTED),
    *(_fairest(form) for form in BOTH_SIGNS),
    *(_divergence(form) for form in (*BOTH_SIGNS, SLO_ONLY)),
)
