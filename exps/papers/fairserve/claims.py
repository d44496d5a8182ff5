"""FairServe's claims on the workload from production. Trends are judged on both platforms, magnitudes on the paced one."""

from __future__ import annotations

from exps.figures.claims import Claim, Judge, Verdict, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.figures.vocabulary import listed, near, off
from exps.papers.fairserve import why
from exps.papers.fairserve.measures import OUTPUT
from exps.papers.fairserve.points import FAIRSERVE, LIMIT, RPM, TITLES, VTC, WL, WO, WOI, WSC, W
from exps.papers.fairserve.server import BURST, PACED

THROTTLING = (10.0, 50.0, 100.0)
TOP = 10
ALL = (*THROTTLING, 500.0)
WASTED = (80_561, 18_295, 4_470)


def at_limits(numbers: Numbers, system: str, metric: str, limits: tuple[float, ...] = THROTTLING) -> list[float]:
    """A metric of one system at each limit."""
    return numbers.over(system, metric, "limit", limits)


def percent_more(ours: list[float], theirs: list[float]) -> list[float]:
    """By how many percent each of ours exceeds theirs."""
    return [100 * (a / b - 1) for a, b in zip(ours, theirs, strict=True)]


def is_on(numbers: Numbers, setting: str) -> bool:
    """Whether they are of runs on this setting."""
    return not numbers.frame.is_empty() and bool(numbers.frame["setting"][0] == setting)


def is_traced(numbers: Numbers) -> bool:
    """Whether they are of runs on the artifact's workload."""
    return not numbers.frame.is_empty() and bool(numbers.frame["traced"][0])


def _fewer_interactions(numbers: Numbers) -> Verdict:
    rpm, ours = (numbers.at(system, "aborted_interactions", limit=LIMIT) for system in (RPM, FAIRSERVE))
    return verdict(rpm >= 10 * ours, f"{rpm:,.0f} and {ours:,.0f}" + (f": {rpm / ours:.1f}x" if ours else ""))


def _no_waste(numbers: Numbers) -> Verdict:
    wasted, partly = (at_limits(numbers, FAIRSERVE, name, ALL) for name in ("wasted_prompt_tokens", "partly_served"))
    return verdict(not any(wasted) and not any(partly), f"{listed(wasted)} tokens; {listed(partly)} partly served")


def _rpm_wastes(numbers: Numbers) -> Verdict:
    at_10, at_50, at_100 = wasted = at_limits(numbers, RPM, "wasted_prompt_tokens")
    return verdict(at_10 > at_50 > at_100 > 0, listed(wasted))


def _hits_senders(numbers: Numbers) -> Verdict:
    worst = max(numbers.at(FAIRSERVE, "worst_rank", undefined=0, limit=limit) for limit in THROTTLING)
    theirs = numbers.at(RPM, "worst_rank", limit=10.0)
    return verdict(worst <= TOP and theirs > 3 * TOP, f"FairServe down to sender {worst:.0f}, RPM 10 to sender {theirs:.0f}")


def _like_vtc(numbers: Numbers) -> Verdict:
    aborted = [numbers.at(system, "aborted_requests", limit=500.0) for system in (FAIRSERVE, RPM, WSC, VTC)]
    client, app = (numbers.at(VTC, name, limit=500.0) for name in ("most_sent", "app_sent"))
    shown = f"{listed(aborted)} aborted; a client sends {client:,.0f}, an application {app:,.0f} a minute"
    return verdict(not any(aborted), shown)


def _throughput(numbers: Numbers) -> Verdict:
    more = percent_more(*(at_limits(numbers, system, "requests_per_s", ALL) for system in (FAIRSERVE, VTC)))
    return verdict(max(map(abs, more)) <= 2, f"{min(more):+.1f} to {max(more):+.1f} %")


def _decodes_faster(numbers: Numbers) -> Verdict:
    more = percent_more(*(at_limits(numbers, system, "output_tokens_per_s") for system in (FAIRSERVE, RPM)))
    holds = 5 <= min(more) and max(more) <= 40 if is_on(numbers, PACED.name) else min(more) > 0
    return verdict(holds, ", ".join(f"{percent:+.0f} %" for percent in more))


def _near(system: str, metric: str, theirs: float, tolerance: float) -> Judge:
    def judge(numbers: Numbers) -> Verdict:
        ours = numbers.at(system, metric, limit=LIMIT)
        if not is_on(numbers, PACED.name) or not is_traced(numbers):
            raise MissingError("the paced server and the artifact's trace")
        return verdict(abs(ours / theirs - 1) <= tolerance, f"{ours:,.4g} ({100 * (ours / theirs - 1):+.0f} %)")

    return judge


def _nothing_aborted(numbers: Numbers) -> Verdict:
    aborted = {system: at_limits(numbers, system, "aborted_requests") for system in (W, WOI)}
    ours = "; ".join(f"{TITLES[system]} {listed(found)}" for system, found in aborted.items())
    return verdict(not any(map(any, aborted.values())), ours)


def _any_call_wastes(numbers: Numbers) -> Verdict:
    wasted = at_limits(numbers, WO, "wasted_prompt_tokens")
    return near(wasted, WASTED, 0.2) if is_on(numbers, PACED.name) else verdict(min(wasted) > 0, listed(wasted))


def _drops_when_idle(numbers: Numbers) -> Verdict:
    ours, rpm = (at_limits(numbers, system, "aborted_requests") for system in (WL, RPM))
    return verdict(all(a > 2 * b for a, b in zip(ours, rpm, strict=True)), f"{listed(ours)}; RPM {listed(rpm)}")


def _loses_less(numbers: Numbers) -> Verdict:
    rpm, wo, w, woi = lost = [numbers.at(system, "aborted_interactions") for system in (RPM, WO, W, WOI)]
    return verdict(rpm > 3 * wo > 0 == w == woi, listed(lost, ".0f"))


def _heavier(numbers: Numbers) -> Verdict:
    ours, rpm = (numbers.at(system, "sent_requests", limit=10.0) for system in (FAIRSERVE, RPM))
    return verdict(ours >= 5 * rpm, f"{ours:.0f} and {rpm:.0f}")


def _classes(numbers: Numbers) -> Verdict:
    clients = {system: [*numbers.rows(system, "clients", least=3)["value"]] for system in (VTC, FAIRSERVE, RPM)}
    shown = ", ".join(f"{TITLES[system]} {listed(found, 'd', '/')}" for system, found in clients.items())
    return verdict(clients[RPM][0] < min(clients[VTC][0], clients[FAIRSERVE][0]), shown)


def middle_rate(numbers: Numbers, system: str) -> float:
    """Mean output tokens a second from 60 to 300 s, of the rows of exps.papers.fairserve.measures.over_time."""
    return numbers.mean(system, OUTPUT, 60, 300)


def _same_curves(numbers: Numbers) -> Verdict:
    vtc, ours = (middle_rate(numbers, system) for system in (VTC, FAIRSERVE))
    return verdict(off([ours], [vtc]) <= 0.05, f"{vtc:.0f} and {ours:.0f} tokens a second from 60 to 300 s")


def claim(id: str, statement: str, paced: str, tolerance: str, judge: Judge, cause: str = "") -> Claim:
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
    claim("table RPM", "RPM 50's aborted interactions", "1,502", "20 %", _near(RPM, "aborted_interactions", 1502, 0.2)),
    claim("table FairServe", "FairServe 50's aborted interactions", "71", "20 %",
          _near(FAIRSERVE, "aborted_interactions", 71, 0.2)),
    claim("table rate", "FairServe 50's requests a second", "23.1", "5 %",
          _near(FAIRSERVE, "requests_per_s", 23.1, 0.05)),
)
ABLATION = (
    claim("2 any call", "Throttling any call on overload, FS (W+O), wastes tokens", "80,561; 18,295; 4,470",
          "paced: 20 %; burst: above 0", _any_call_wastes),
    claim("nothing aborted", "FS (W) and FS (W+O+I) abort nothing at limits 10, 50, 100", "0", "none", _nothing_aborted),
    claim("W+L", "Throttling without regard to load, FS (W+L), aborts far more than RPM", "8,945; 8,775; 8,399", "2x",
          _drops_when_idle, why.ALWAYS),
)
ABORTED = (claim("lost", "A throttled client loses many interactions under RPM, fewer under FS (W+O), none under FS (W) and"
                 " FS (W+O+I)", "751, 58, 0, 0", "RPM 3x", _loses_less),)
THROTTLED = (claim("3 heavy", "At limit 10 FairServe's throttled clients send five times as much as RPM's", "800 and 69",
                   "none", _heavier, why.HEAVY),)
COUNTERS = (claim("counters", "After 100 s fewer clients are without service under RPM than under VTC and FairServe",
                  "831/502/32, 828/505/32, 782/546/37", "none", _classes, why.UNSERVED),)
OVERTIME = (claim("curves", "VTC and FairServe produce output at the same rate", "near-identical", "5 %", _same_curves,
                  why.EARLIER),)
