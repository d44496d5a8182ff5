"""What makes claims of FairServe fail, as claims: each holds where the supposed cause was changed."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.fairserve.claims import THROTTLING, TOP, listed, middle_rate, value, values
from exps.fairserve.measures import PRODUCED, UNSERVED
from exps.fairserve.points import FAIRSERVE, LIMIT, RPM, VTC, WL

UNLIMITED, ONE_APPLICATION, EQUAL_ANSWERS = 2000.0, "one-app", "equal-answers"
NO_APPS = "fairserve,order=fairserve(app_limits=false)"
BY_TOKEN = "fairserve,order=fairserve(charge=ratio)"
UNPREFERRED = "fairserve,order=fairserve(charge=ratio,prefer=false)"
WL_ENDS = f"{WL},order=fairserve(charge=ratio,prefer=false,check=always,drop=any,drop_ends_pass=true)"


def _claim(id: str, statement: str, tolerance: str, judge: Callable[[pl.DataFrame], Verdict], **published: str) -> Claim:
    return Claim(id, statement, {name.replace("_", "-"): text for name, text in published.items()}, tolerance, judge)


def _heaviest(metrics: pl.DataFrame) -> Verdict:
    found = [value(metrics, system, LIMIT, "worst_rank") for system in (FAIRSERVE, NO_APPS)]
    if None in found:
        return missing("FairServe with and without the applications' limits at limit 50")
    limited, free = (rank or 0 for rank in found)
    return verdict(free <= TOP < limited, f"with them down to sender {limited:.0f}, without to sender {free:.0f}")


def _own_limit(metrics: pl.DataFrame) -> Verdict:
    limits = (10.0, LIMIT)
    limited, free = (values(metrics, system, "slowest", limits) for system in (FAIRSERVE, NO_APPS))
    if limited is None or free is None:
        return missing("FairServe with and without the applications' limits at limits 10 and 50")
    holds = all(a < limit <= b for a, b, limit in zip(limited, free, limits, strict=True))
    return verdict(holds, f"the slowest sends {listed(free)} a minute; with them {listed(limited)}")


def _no_client_reaches(metrics: pl.DataFrame) -> Verdict:
    found = [value(metrics, system, UNLIMITED, "aborted_requests") for system in (FAIRSERVE, NO_APPS, RPM)]
    if None in found:
        return missing("all systems at limit 2,000")
    limited, *others = aborted = [number or 0 for number in found]
    return verdict(limited > 0 and not any(others), f"{listed(aborted)} aborted")


def _send_more(metrics: pl.DataFrame) -> Verdict:
    limits = (10.0, LIMIT)
    limited, free = (values(metrics, system, "mean_sent", limits) for system in (FAIRSERVE, NO_APPS))
    if limited is None or free is None:
        return missing("FairServe with and without the applications' limits at limits 10 and 50")
    holds = all(b >= 1.5 * a for a, b in zip(limited, free, strict=True))
    return verdict(holds, f"{listed(free)} requests, with them {listed(limited)}")


def _all_served(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter(metric=UNSERVED)
    found = [rows.filter(system=name)["value"].to_list() for name in (FAIRSERVE, BY_TOKEN, UNPREFERRED, VTC)]
    if any(len(clients) != 1 for clients in found):
        return missing("all systems")
    whole, token, even, vtc = (clients[0] for clients in found)
    shown = f"at the end {whole:.0f}, as tokens come {token:.0f}, with nobody preferred {even:.0f}; VTC {vtc:.0f}"
    return verdict(whole > 10 * max(even, vtc), shown)


def _off_vtc(metrics: pl.DataFrame, *systems: str) -> list[float] | None:
    """By how many percent the output rates of systems are off VTC's; None without a point."""
    vtc, *found = (middle_rate(metrics, system) for system in (VTC, *systems))
    return None if vtc is None or None in found else [100 * (rate / vtc - 1) for rate in found if rate is not None]


def _equal_answers(metrics: pl.DataFrame) -> Verdict:
    off = _off_vtc(metrics, FAIRSERVE)
    if off is None or metrics["setting"][0] != EQUAL_ANSWERS:
        return missing(f"VTC and FairServe on {EQUAL_ANSWERS}")
    return verdict(abs(off[0]) <= 5, f"{off[0]:+.1f} %")


def _same_order(metrics: pl.DataFrame) -> Verdict:
    off = _off_vtc(metrics, FAIRSERVE, BY_TOKEN, UNPREFERRED)
    if off is None:
        return missing("all systems")
    shown = f"FairServe {off[0]:+.1f} %, as tokens come {off[1]:+.1f} %, with nobody preferred {off[2]:+.1f} %"
    return verdict(abs(off[2]) <= 5, shown)


def _only_earlier(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter(metric=PRODUCED).sort("time_s")
    vtc, ours = (rows.filter(system=name)["value"].to_list() for name in (VTC, FAIRSERVE))
    if len(vtc) != 2 or len(ours) != 2 or metrics["setting"][0] == EQUAL_ANSWERS or not metrics["traced"][0]:
        return missing("VTC and FairServe on burst, and the artifact's trace")
    holds = ours[0] >= 1.2 * vtc[0] and abs(ours[1] / vtc[1] - 1) <= 0.02
    return verdict(holds, f"by 60 s {vtc[0]:,.0f} and {ours[0]:,.0f} tokens, by 300 s {vtc[1]:,.0f} and {ours[1]:,.0f}")


def _theirs() -> list[float]:
    from exps.published import read_published

    published = {row["limit"]: row for row in read_published("fairserve", "ablation").filter(system=WL).to_dicts()}
    return [float(published[limit]["aborted_requests"]) for limit in THROTTLING]


def _both(metrics: pl.DataFrame) -> Verdict:
    ours = values(metrics, WL_ENDS, "aborted_requests")
    if ours is None or metrics["setting"][0] != ONE_APPLICATION or not metrics["traced"][0]:
        return missing("one application for all, and the artifact's trace")
    off = [100 * (a / b - 1) for a, b in zip(ours, _theirs(), strict=True)]
    return verdict(max(map(abs, off)) <= 10, f"{listed(ours)}: {min(off):+.1f} to {max(off):+.1f} %")


def _either(metrics: pl.DataFrame) -> Verdict:
    one = not metrics.is_empty() and metrics["setting"][0] == ONE_APPLICATION
    ours = values(metrics, WL if one else WL_ENDS, "aborted_requests")
    if ours is None or not metrics["traced"][0]:
        return missing("FS (W+L) with and without drops that end the pass, and the artifact's trace")
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
)  # fmt: skip
ORDER = (
    _claim("counters", "Charging as tokens come and preferring nobody, FairServe leaves few without service after 100 s",
           "a tenth", _all_served),
    _claim("long answers", "If all answers are of equal length, VTC and FairServe produce output at the same rate", "5 %",
           _equal_answers),
    _claim("order", "Charging as tokens come and preferring nobody, FairServe produces output at VTC's rate", "5 %",
           _same_order),
    _claim("earlier", "FairServe's output is not less but earlier: more by 60 s, as much as VTC's by 300 s", "20 %; 2 %",
           _only_earlier),
)  # fmt: skip
ALWAYS = (
    _claim("both", "FS (W+L) aborts what was published once all requests have one application and a drop ends the pass",
           "10 %", _both, one_app="8,945; 8,775; 8,399"),
    _claim("either", "Either of the two alone leaves it below half of that", "none", _either,
           one_app="8,945; 8,775; 8,399", paced="8,945; 8,775; 8,399"),
)  # fmt: skip
