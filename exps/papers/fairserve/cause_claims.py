"""What makes claims of FairServe fail, as claims: each holds where the supposed cause was changed."""

from __future__ import annotations

from exps.figures.claims import Claim, Judge, Verdict, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.figures.vocabulary import listed
from exps.papers.fairserve.claims import THROTTLING, TOP, at_limits, is_on, is_traced, middle_rate, percent_more
from exps.papers.fairserve.measures import PRODUCED, PRODUCED_AT_S, UNSERVED
from exps.papers.fairserve.points import FAIRSERVE, LIMIT, RPM, VTC, WL
from exps.papers.fairserve.server import BURST

UNLIMITED, ONE_APPLICATION, EQUAL_ANSWERS = 2000.0, "one-app", "equal-answers"
NO_APPS = "fairserve,order=fairserve(app_limits=false)"
BY_TOKEN = "fairserve,order=fairserve(charge=ratio)"
UNPREFERRED = "fairserve,order=fairserve(charge=ratio,prefer=false)"
WL_ENDS = f"{WL},order=fairserve(charge=ratio,prefer=false,check=always,drop=any,drop_ends_pass=true)"


def _claim(id: str, statement: str, tolerance: str, judge: Judge, **published: str) -> Claim:
    return Claim(id, statement, {name.replace("_", "-"): text for name, text in published.items()}, tolerance, judge)


def _with_and_without(numbers: Numbers, metric: str) -> tuple[list[float], list[float]]:
    """FairServe's with the applications' limits and without them, at limits 10 and 50."""
    limited, free = (at_limits(numbers, system, metric, (10.0, LIMIT)) for system in (FAIRSERVE, NO_APPS))
    return limited, free


def _heaviest(numbers: Numbers) -> Verdict:
    limited, free = (numbers.at(system, "worst_rank", limit=LIMIT) for system in (FAIRSERVE, NO_APPS))
    return verdict(free <= TOP < limited, f"with them down to sender {limited:.0f}, without to sender {free:.0f}")


def _own_limit(numbers: Numbers) -> Verdict:
    limited, free = _with_and_without(numbers, "slowest")
    holds = all(a < limit <= b for a, b, limit in zip(limited, free, (10.0, LIMIT), strict=True))
    return verdict(holds, f"the slowest sends {listed(free)} a minute; with them {listed(limited)}")


def _no_client_reaches(numbers: Numbers) -> Verdict:
    limited, *others = aborted = [
        numbers.at(system, "aborted_requests", limit=UNLIMITED) for system in (FAIRSERVE, NO_APPS, RPM)
    ]
    return verdict(limited > 0 and not any(others), f"{listed(aborted)} aborted")


def _send_more(numbers: Numbers) -> Verdict:
    limited, free = _with_and_without(numbers, "mean_sent")
    holds = all(b >= 1.5 * a for a, b in zip(limited, free, strict=True))
    return verdict(holds, f"{listed(free)} requests, with them {listed(limited)}")


def _all_served(numbers: Numbers) -> Verdict:
    whole, token, even, vtc = (numbers.at(system, UNSERVED) for system in (FAIRSERVE, BY_TOKEN, UNPREFERRED, VTC))
    shown = f"at the end {whole:.0f}, as tokens come {token:.0f}, with nobody preferred {even:.0f}; VTC {vtc:.0f}"
    return verdict(whole > 10 * max(even, vtc), shown)


def _off_vtc(numbers: Numbers, system: str) -> float:
    """By how many percent the output rate of a system is off VTC's."""
    return 100 * (middle_rate(numbers, system) / middle_rate(numbers, VTC) - 1)


def _equal_answers(numbers: Numbers) -> Verdict:
    if not is_on(numbers, EQUAL_ANSWERS):
        raise MissingError(f"VTC and FairServe on {EQUAL_ANSWERS}")
    off = _off_vtc(numbers, FAIRSERVE)
    return verdict(abs(off) <= 5, f"{off:+.1f} %")


def _same_order(numbers: Numbers) -> Verdict:
    whole, token, even = (_off_vtc(numbers, system) for system in (FAIRSERVE, BY_TOKEN, UNPREFERRED))
    shown = f"FairServe {whole:+.1f} %, as tokens come {token:+.1f} %, with nobody preferred {even:+.1f} %"
    return verdict(abs(even) <= 5, shown)


def _only_earlier(numbers: Numbers) -> Verdict:
    if not is_on(numbers, BURST.name) or not is_traced(numbers):
        raise MissingError("VTC and FairServe on burst, and the artifact's trace")
    vtc, ours = (numbers.over(system, PRODUCED, "time_s", PRODUCED_AT_S) for system in (VTC, FAIRSERVE))
    holds = ours[0] >= 1.2 * vtc[0] and abs(ours[1] / vtc[1] - 1) <= 0.02
    return verdict(holds, f"by 60 s {vtc[0]:,.0f} and {ours[0]:,.0f} tokens, by 300 s {vtc[1]:,.0f} and {ours[1]:,.0f}")


def _theirs() -> list[float]:
    from exps.figures.published import read_published

    published = {row["limit"]: row for row in read_published("fairserve", "ablation").filter(system=WL).to_dicts()}
    return [float(published[limit]["aborted_requests"]) for limit in THROTTLING]


def _both(numbers: Numbers) -> Verdict:
    if not is_on(numbers, ONE_APPLICATION) or not is_traced(numbers):
        raise MissingError("one application for all, and the artifact's trace")
    ours = at_limits(numbers, WL_ENDS, "aborted_requests")
    more = percent_more(ours, _theirs())
    return verdict(max(map(abs, more)) <= 10, f"{listed(ours)}: {min(more):+.1f} to {max(more):+.1f} %")


def _either(numbers: Numbers) -> Verdict:
    if not is_traced(numbers):
        raise MissingError("FS (W+L) with and without drops that end the pass, and the artifact's trace")
    one = is_on(numbers, ONE_APPLICATION)
    ours = at_limits(numbers, WL if one else WL_ENDS, "aborted_requests")
    holds = all(a < b / 2 for a, b in zip(ours, _theirs(), strict=True))
    return verdict(holds, f"{'one application' if one else 'a drop ends the pass'}: {listed(ours)}")


LIMITS = (
    _claim("senders", f"Without the applications' limits FairServe at limit 50 throttles only the {TOP} heaviest senders",
           "none", _heaviest),
    _claim("own limit", "Without them it throttles only clients that send as much as their own limit within a minute", "none",
           _own_limit),
    _claim("like VTC", "At a limit of 2,000, which no client reaches, nothing is aborted without them, nor by RPM", "none",
           _no_client_reaches),
    _claim("heavy", "Without them throttled clients send more, at limits 10 and 50", "1.5 times", _send_more),
)
ORDER = (
    _claim("counters", "Charging as tokens come and preferring nobody, FairServe leaves few without service after 100 s",
           "a tenth", _all_served),
    _claim("long answers", "If all answers are of equal length, VTC and FairServe produce output at the same rate", "5 %",
           _equal_answers),
    _claim("order", "Charging as tokens come and preferring nobody, FairServe produces output at VTC's rate", "5 %",
           _same_order),
    _claim("earlier", "FairServe's output is not less but earlier: more by 60 s, as much as VTC's by 300 s", "20 %; 2 %",
           _only_earlier),
)
ALWAYS = (
    _claim("both", "FS (W+L) aborts what was published once all requests have one application and a drop ends the pass",
           "10 %", _both, one_app="8,945; 8,775; 8,399"),
    _claim("either", "Either of the two alone leaves it below half of that", "none", _either,
           one_app="8,945; 8,775; 8,399", paced="8,945; 8,775; 8,399"),
)
