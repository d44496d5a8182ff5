"""Claims on VTC's Figure 3: two overloaded clients.

A metrics frame has the rows of exps.papers.vtc.fig3.measure: model, system, metric, client, time_s, value.
"""

from __future__ import annotations

import numpy as np

from exps.figures.claims import Claim, Judge, Verdict, verdict
from exps.figures.figure import Setting
from exps.figures.numbers import Numbers
from exps.figures.vocabulary import bounded, equal, linear, slope, times

POOL_TOKENS, LONGEST_INPUT = 10_000, 256
SETTINGS = (Setting(batching="slora"),)
CALIBRATIONS = ("session-2024", "session-2023")
W_P, W_Q = 1.0, 2.0
U = max(W_P * LONGEST_INPUT, W_Q * POOL_TOKENS)
PLATFORM = "llama"


def same_service(numbers: Numbers) -> Verdict:
    """Whether VTC gives all clients the same in the end."""
    return equal([*numbers.each("vtc", "service_total", "client", least=2).values()], 0.05)


def grows_linearly(least_r2: float) -> Judge:
    """Whether FCFS's service difference grows along a line."""
    return lambda numbers: linear(*numbers.series("fcfs", "service_difference", least=3), least_r2)


def _bounded(numbers: Numbers) -> Verdict:
    return bounded(numbers.at("vtc", "largest_difference"), 2 * U)


def _flat(numbers: Numbers) -> Verdict:
    vtc, fcfs = (slope(*numbers.series(system, "service_difference"))[0] for system in ("vtc", "fcfs"))
    return verdict(fcfs > 0 and abs(vtc) <= 0.05 * fcfs, f"vtc {vtc:+.1f}/s, fcfs {fcfs:+.1f}/s")


def _at_half_time(numbers: Numbers, system: str) -> float:
    ticks, values = numbers.series(system, "service_difference")
    return float(np.interp(ticks[-1] / 2, ticks, values))


def _ratio(numbers: Numbers) -> Verdict:
    vtc, fcfs = (_at_half_time(numbers, system) for system in ("vtc", "fcfs"))
    return verdict(fcfs > 10 * vtc, f"{fcfs:,.0f} / {vtc:,.0f} = {times(fcfs, vtc):.0f}x")


def claim(
    id: str, statement: str, published: str, tolerance: str, judge: Judge, *, cause: str = "", given: bool = False
) -> Claim:
    """A claim that the paper makes of its one model."""
    return Claim(id, statement, {PLATFORM: published}, tolerance, judge, cause, given)


CLAIMS = (
    claim("3a bound", f"VTC's service difference stays below 2U = {2 * U:,.0f} while both clients are backlogged",
          "largest 1,700 (600 s), 8,000 (360 s)", "none: a theorem", _bounded),
    claim("3a flat", "VTC's service difference does not grow with time", "flat; fcfs +439/s", "5 % of FCFS's slope", _flat),
    claim("3a linear", "FCFS's service difference grows linearly", "+439/s, 262,000 at 600 s", "R2 at least 0.98",
          grows_linearly(0.98)),
    claim("3a ratio", "FCFS's difference is more than ten times VTC's by half of the run (300 s)", "more than 10x", "none",
          _ratio),
    claim("3b equal", "Under VTC both clients receive the same service", "379,136 and 379,652 at 600 s (0.1 % apart)", "5 %",
          same_service),
)
