"""Claims of ExFairS on its sweeps. A metrics frame has the rows of exps.papers.exfairs.measures.sweep_measure."""

from __future__ import annotations

from collections.abc import Callable

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.numbers import MissingError
from exps.papers.exfairs.causes import cause_of
from exps.papers.exfairs.claims import GAIN, POINT, Runs, fewer, index_of, no_needless_exchange, violations
from exps.papers.exfairs.setup import (
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
    everywhere = {setting.name: published for setting in SETTINGS}
    return Claim(id, statement, everywhere, tolerance, lambda numbers: judge(Runs.of(numbers, axis)), cause_of(id))


def _over(runs: Runs, *systems: str, least: int = 1) -> list[float]:
    """The values at which all these systems ran: at least so many."""
    there = runs.beside(sorted({x for x, _ in runs}), *systems)
    if len(there) < least:
        raise MissingError(f"{', '.join(TITLES[system] for system in systems)} at {least} values")
    return there


def _fewer_where_open(form: str, axis: str) -> Claim:
    """Where FCFS violates between 5 and 95 %, so that an order can make a difference."""

    def judge(runs: Runs) -> Verdict:
        there = [x for x in _over(runs, FCFS) if OPEN[0] < runs[x, FCFS]["violation_share"] < OPEN[1]]
        if not there:
            raise MissingError("a value at which FCFS violates 5 to 95 %")
        holds = [f"{x:g}" for x in there if fewer(runs, x, form)]
        return verdict(len(holds) == len(there), f"at {len(holds)} of {len(there)} values: {', '.join(holds) or 'none'}")

    return _claim(f"1 {TITLES[form]}", axis, "Below VTC, FCFS and round-robin wherever FCFS violates 5 to 95 %",
                  "up to 100 % fewer", "1 point of the submitted", judge)


def _vanishes(form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        loads = _over(runs, form, FCFS, least=3)
        gains = [runs[x, FCFS]["violation_share"] - runs[x, form]["violation_share"] for x in loads]
        most = max(gains[1:-1])
        ours = ", ".join(f"{100 * gain:+.1f} at {x:g}" for x, gain in zip(loads, gains, strict=True))
        return verdict(most >= POINT and max(gains[0], gains[-1]) <= most / 4, f"points fewer than FCFS: {ours}")

    return _claim(f"6 {TITLES[form]}", "load", "The benefit vanishes at low load and at extreme overload", "vanishes",
                  "largest of 1 point or more, ends below a quarter of it", judge)


def _mid_range(form: str) -> Claim:
    def judge(runs: Runs) -> Verdict:
        alphas = _over(runs, form, least=3)
        shares = [runs[alpha, form]["violation_share"] for alpha in alphas]
        counts = ", ".join(f"{runs[alpha, form]['violations']:,} at {alpha:g}" for alpha in alphas)
        return verdict(min(shares[1:-1]) <= min(shares[0], shares[-1]) - POINT, counts)

    return _claim(f"5 {TITLES[form]}", "alpha", "Violations are fewest at an alpha between 0 and 1", "mid-range best",
                  "1 point of the submitted", judge)


def _beside(form: str, show: Callable[[Runs, float], Verdict]) -> Judge:
    """Judge at the load at which there are runs of a form and of every baseline."""
    return lambda runs: show(runs, _over(runs, form, *BASELINES)[0])


def _violates_less(form: str) -> Claim:
    def show(runs: Runs, x: float) -> Verdict:
        return verdict(fewer(runs, x, form), violations(runs, x, form))

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
    def judge(runs: Runs) -> Verdict:
        return no_needless_exchange(runs, _over(runs, form), form)

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
