"""FairServe's claims on the workload from production. Trends are judged on both platforms, magnitudes on the paced one."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.fairserve import why
from exps.fairserve.measures import OUTPUT
from exps.fairserve.points import FAIRSERVE, LIMIT, RPM, TITLES, VTC, WL, WO, WOI, WSC, W
from exps.fairserve.server import BURST, PACED

THROTTLING = (10.0, 50.0, 100.0)
TOP = 10
WASTED, NEAR = (80_561, 18_295, 4_470), 0.2


def value(metrics: pl.DataFrame, system: str, limit: float, column: str) -> float | None:
    """A metric of one point, or None where the point is missing."""
    rows = metrics.filter((pl.col("system") == system) & (pl.col("limit") == limit))
    return None if rows.is_empty() else rows[column][0]


def values(metrics: pl.DataFrame, system: str, column: str, limits: tuple[float, ...] = THROTTLING) -> list[float] | None:
    """A metric of one system at each limit, or None where a point is missing."""
    found = [value(metrics, system, limit, column) for limit in limits]
    return None if None in found else [number for number in found if number is not None]


def listed(found: list[float]) -> str:
    """As in "112, 1,803"."""
    return ", ".join(f"{number:,.0f}" for number in found)


def _fewer_interactions(metrics: pl.DataFrame) -> Verdict:
    theirs, ours = (value(metrics, system, LIMIT, "aborted_interactions") for system in (RPM, FAIRSERVE))
    if theirs is None or ours is None:
        return missing("RPM and FairServe at limit 50")
    return verdict(theirs >= 10 * ours, f"{theirs:,.0f} and {ours:,.0f}" + (f": {theirs / ours:.1f}x" if ours else ""))


def _no_waste(metrics: pl.DataFrame) -> Verdict:
    names, limits = ("wasted_prompt_tokens", "partly_served"), (*THROTTLING, 500.0)
    ours, partly = (values(metrics, FAIRSERVE, name, limits) for name in names)
    if ours is None or partly is None:
        return missing("FairServe at every limit")
    return verdict(not any(ours) and not any(partly), f"{listed(ours)} tokens; {listed(partly)} partly served")


def _rpm_wastes(metrics: pl.DataFrame) -> Verdict:
    found = values(metrics, RPM, "wasted_prompt_tokens")
    if found is None:
        return missing("RPM at limits 10, 50 and 100")
    return verdict(found[0] > found[1] > found[2] > 0, listed(found))


def _hits_senders(metrics: pl.DataFrame) -> Verdict:
    ranks = [value(metrics, FAIRSERVE, limit, "worst_rank") for limit in THROTTLING]
    theirs = value(metrics, RPM, 10.0, "worst_rank")
    if value(metrics, FAIRSERVE, 10.0, "aborted_requests") is None or theirs is None:
        return missing("RPM and FairServe")
    worst = max((rank for rank in ranks if rank is not None), default=0)
    return verdict(worst <= TOP and theirs > 3 * TOP, f"FairServe down to sender {worst:.0f}, RPM 10 to sender {theirs:.0f}")


def _like_vtc(metrics: pl.DataFrame) -> Verdict:
    found = [value(metrics, system, 500.0, "aborted_requests") for system in (FAIRSERVE, RPM, WSC, VTC)]
    if None in found:
        return missing("all systems at limit 500")
    sent = (value(metrics, VTC, 500.0, name) for name in ("most_sent", "app_sent"))
    client, app = (number or 0 for number in sent)
    aborted = [number for number in found if number is not None]
    shown = f"{listed(aborted)} aborted; a client sends {client:,.0f}, an application {app:,.0f} a minute"
    return verdict(not any(aborted), shown)


def _throughput(metrics: pl.DataFrame) -> Verdict:
    ours, vtc = (values(metrics, system, "requests_per_s", (*THROTTLING, 500.0)) for system in (FAIRSERVE, VTC))
    if ours is None or vtc is None:
        return missing("VTC and FairServe at every limit")
    off = [100 * (a / b - 1) for a, b in zip(ours, vtc, strict=True)]
    return verdict(max(map(abs, off)) <= 2, f"{min(off):+.1f} to {max(off):+.1f} %")


def _decodes_faster(metrics: pl.DataFrame) -> Verdict:
    ours, rpm = (values(metrics, system, "output_tokens_per_s") for system in (FAIRSERVE, RPM))
    if ours is None or rpm is None:
        return missing("RPM and FairServe at limits 10, 50 and 100")
    more = [100 * (a / b - 1) for a, b in zip(ours, rpm, strict=True)]
    paced = metrics["setting"][0] == PACED.name
    within = all(5 <= percent <= 40 for percent in more) if paced else all(percent > 0 for percent in more)
    return verdict(within, ", ".join(f"{percent:+.0f} %" for percent in more))


def _near(limit: float, system: str, column: str, theirs: float, tolerance: float) -> Callable[[pl.DataFrame], Verdict]:
    def judge(metrics: pl.DataFrame) -> Verdict:
        ours = value(metrics, system, limit, column)
        if ours is None:
            return missing(f"{system} at limit {limit:.0f}")
        if metrics["setting"][0] != PACED.name or not metrics["traced"][0]:
            return missing("the paced server and the artifact's trace")
        return verdict(abs(ours / theirs - 1) <= tolerance, f"{ours:,.4g} ({100 * (ours / theirs - 1):+.0f} %)")

    return judge


def _nothing_aborted(metrics: pl.DataFrame) -> Verdict:
    found = {system: values(metrics, system, "aborted_requests") for system in (W, WOI)}
    if None in found.values():
        return missing("FS (W) and FS (W+O+I)")
    return verdict(not any(any(numbers or ()) for numbers in found.values()),
                   "; ".join(f"{TITLES[system]} {listed(numbers or [])}" for system, numbers in found.items()))  # fmt: skip


def _any_call_wastes(metrics: pl.DataFrame) -> Verdict:
    found = values(metrics, WO, "wasted_prompt_tokens")
    if found is None:
        return missing("FS (W+O)")
    near = all(abs(ours / theirs - 1) <= NEAR for ours, theirs in zip(found, WASTED, strict=True))
    return verdict(near if metrics["setting"][0] == PACED.name else min(found) > 0, listed(found))


def _drops_when_idle(metrics: pl.DataFrame) -> Verdict:
    found, rpm = values(metrics, WL, "aborted_requests"), values(metrics, RPM, "aborted_requests")
    if found is None or rpm is None:
        return missing("FS (W+L) and RPM")
    return verdict(all(a > 2 * b for a, b in zip(found, rpm, strict=True)), f"{listed(found)}; RPM {listed(rpm)}")


def _loses_less(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter(metric="aborted_interactions")
    found = {name: rows.filter(system=name)["value"].to_list() for name in (RPM, WO, W, WOI)}
    if any(len(numbers) != 1 for numbers in found.values()):
        return missing(", ".join(TITLES[name] for name in found))
    rpm, wo, w, woi = (numbers[0] for numbers in found.values())
    return verdict(rpm > 3 * wo > 0 == w == woi, f"{rpm:.0f}, {wo:.0f}, {w:.0f}, {woi:.0f}")


def _heavier(metrics: pl.DataFrame) -> Verdict:
    rows = metrics.filter((pl.col("metric") == "sent_requests") & (pl.col("limit") == 10.0))
    ours, rpm = (rows.filter(system=name)["value"].to_list() for name in (FAIRSERVE, RPM))
    if len(ours) != 1 or len(rpm) != 1:
        return missing("RPM and FairServe at limit 10")
    return verdict(ours[0] >= 5 * rpm[0], f"{ours[0]:.0f} and {rpm[0]:.0f}")


def _classes(metrics: pl.DataFrame) -> Verdict:
    rows = {name: metrics.filter(system=name)["clients"].to_list() for name in (VTC, FAIRSERVE, RPM)}
    if any(len(numbers) != 3 for numbers in rows.values()):
        return missing("VTC, FairServe and RPM")
    shown = ", ".join(f"{TITLES[name]} {numbers[0]}/{numbers[1]}/{numbers[2]}" for name, numbers in rows.items())
    return verdict(rows[RPM][0] < min(rows[VTC][0], rows[FAIRSERVE][0]), shown)


def middle_rate(metrics: pl.DataFrame, system: str) -> float | None:
    """Mean output tokens a second from 60 to 300 s, of the rows of exps.fairserve.measures.over_time."""
    rows = metrics.filter(pl.col("system") == system, pl.col("metric") == OUTPUT)
    mean = rows.filter(pl.col("time_s").is_between(60, 300))["value"].mean()
    return None if mean is None else float(mean)  # type: ignore[arg-type]


def _same_curves(metrics: pl.DataFrame) -> Verdict:
    vtc, ours = (middle_rate(metrics, system) for system in (VTC, FAIRSERVE))
    if vtc is None or ours is None:
        return missing("VTC and FairServe")
    return verdict(abs(ours / vtc - 1) <= 0.05, f"{vtc:.0f} and {ours:.0f} tokens a second from 60 to 300 s")


def claim(
    id: str, statement: str, paced: str, tolerance: str, judge: Callable[[pl.DataFrame], Verdict], cause: str = ""
) -> Claim:
    return Claim(id, statement, {PACED.name: paced, BURST.name: "-"}, tolerance, judge, cause)


TABLE1 = (
    claim("1 interactions", "RPM aborts ten times more interactions at limit 50", "1,502 and 71: 21x", "none",
          _fewer_interactions),
    claim("2 no waste", "FairServe wastes nothing: what it starts it serves whole", "0 at every limit", "none", _no_waste),
    claim("2 RPM wastes", "RPM wastes tokens, fewer at higher limits", "108,212; 31,315; 16,645", "none", _rpm_wastes),
    claim("3 senders", f"FairServe throttles only the {TOP} heaviest senders, RPM 10 many light ones", "3 and 52 clients",
          "none", _hits_senders, why.SENDERS),
    claim("4 like VTC", "At limit 500 nothing is aborted", "0, 0, 0, 0", "none", _like_vtc, why.LIKE_VTC),
    claim("6 throughput", "FairServe serves as many requests a second as VTC", "-0.1 to +0.4 %", "2 %", _throughput),
    claim("6 decode", "FairServe's output tokens a second exceed RPM's at limits 10, 50, 100", "+35, +14, +10 %",
          "paced: 5 to 40 %; burst: more", _decodes_faster),
    claim("table RPM", "RPM 50's aborted interactions", "1,502", "20 %", _near(50.0, RPM, "aborted_interactions", 1502, 0.2)),
    claim("table FairServe", "FairServe 50's aborted interactions", "71", "20 %",
          _near(50.0, FAIRSERVE, "aborted_interactions", 71, 0.2)),
    claim("table rate", "FairServe 50's requests a second", "23.1", "5 %",
          _near(50.0, FAIRSERVE, "requests_per_s", 23.1, 0.05)),
)  # fmt: skip
ABLATION = (
    claim("2 any call", "Throttling any call on overload, FS (W+O), wastes tokens", "80,561; 18,295; 4,470",
          "paced: 20 %; burst: above 0", _any_call_wastes),
    claim("nothing aborted", "FS (W) and FS (W+O+I) abort nothing at limits 10, 50, 100", "0", "none", _nothing_aborted),
    claim("W+L", "Throttling without regard to load, FS (W+L), aborts far more than RPM", "8,945; 8,775; 8,399", "2x",
          _drops_when_idle, why.ALWAYS),
)  # fmt: skip
ABORTED = (claim("lost", "A throttled client loses many interactions under RPM, fewer under FS (W+O), none under FS (W) and"
                 " FS (W+O+I)", "751, 58, 0, 0", "RPM 3x", _loses_less),)  # fmt: skip
THROTTLED = (claim("3 heavy", "At limit 10 FairServe's throttled clients send five times as much as RPM's", "800 and 69",
                   "none", _heavier, why.HEAVY),)  # fmt: skip
COUNTERS = (claim("counters", "After 100 s fewer clients are without service under RPM than under VTC and FairServe",
                  "831/502/32, 828/505/32, 782/546/37", "none", _classes, why.UNSERVED),)  # fmt: skip
OVERTIME = (claim("curves", "VTC and FairServe produce output at the same rate", "near-identical", "5 %", _same_curves,
                  why.EARLIER),)  # fmt: skip
