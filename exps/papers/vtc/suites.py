"""VTC's synthetic suites, Figures 4 to 10 and 16: one run of minutes a system, service and response times over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from exps.figures.claims import Claim
from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Curves, all_of
from exps.papers.vtc import suite_claims as claims
from exps.papers.vtc.claims import CALIBRATIONS, POOL_TOKENS, SETTINGS
from exps.papers.vtc.fig3 import S1
from exps.papers.vtc.measures import DIFFERENCE, RESPONSE, over_time
from plots.axes import Axis

WINDOW_S, QUICK_S = 60.0, 120.0
WEIGHTED = "vtc,order=vtc(weights=client-1:1;client-2:2;client-3:3;client-4:4)"
TITLES = {"vtc": "VTC", "fcfs": "FCFS", "lcf": "LCF", WEIGHTED: "VTC, weighted 1:2:3:4"}
SERVICE, WAIT, GAP = "service_per_s", "response_s", "service_difference"
SHOWN = {SERVICE: Axis("value", "Service per second", (0, None)), WAIT: RESPONSE, GAP: DIFFERENCE}
Make = Callable[[float, int], "pl.DataFrame"]


@dataclass(frozen=True)
class Suite:
    """``make(duration_s, seed)`` draws the workload; ``shows`` are the quantities over time, a picture each."""

    number: int
    title: str
    make: Make
    systems: tuple[str, ...]
    shows: tuple[str, ...]
    claims: tuple[Claim, ...]
    duration_s: float = 600.0


def _overload(*rates: float) -> Make:
    def make(duration_s: float, seed: int) -> pl.DataFrame:
        from exps.workload.vtc import overload_timetable

        return overload_timetable(rates, _prompt(256), 256, duration_s, seed)

    return make


def _on_off(*rates: float) -> Make:
    def make(duration_s: float, seed: int) -> pl.DataFrame:
        from exps.workload.vtc import on_off_timetable

        return on_off_timetable(rates, _prompt(256), 256, duration_s, seed)

    return make


def _poisson(*shapes: tuple[float, int, int]) -> Make:
    def make(duration_s: float, seed: int) -> pl.DataFrame:
        from exps.workload.vtc import Client, poisson_timetable

        numbered = enumerate(shapes, start=1)
        clients = [Client(f"client-{i}", rate, _prompt(prompt), output) for i, (rate, prompt, output) in numbered]
        return poisson_timetable(clients, duration_s, seed)

    return make


def _increase(duration_s: float, seed: int) -> pl.DataFrame:
    from exps.workload.vtc import increase_timetable

    return increase_timetable(_prompt(256), 256, duration_s, seed)


def _shift(duration_s: float, seed: int) -> pl.DataFrame:
    from exps.workload.vtc import shift_timetable

    return shift_timetable(_prompt(256), 256, duration_s, seed)


def _prompt(tokens: int) -> int:
    from exps.recorded.recordings import EXTRA_PROMPT_TOKENS

    return tokens + EXTRA_PROMPT_TOKENS


BOTH = ("vtc", "fcfs")
SUITES = (
    Suite(4, "Three clients, two of them light (proportional)", _overload(0.25, 0.5, 1.5), BOTH, (SERVICE, WAIT),
          claims.PROPORTIONAL),
    Suite(5, "A light client that pauses every second minute (on_off_less)", _on_off(0.5, 2.0), BOTH, (SERVICE, WAIT),
          claims.ON_OFF_LESS),
    Suite(6, "A heavy client that pauses every second minute (on_off_overload)", _on_off(2.0, 3.0), BOTH, (SERVICE, WAIT),
          claims.ON_OFF_OVERLOAD),
    Suite(7, "Short requests against long ones (poisson_short_long)", _poisson((8.0, 64, 64), (1.5, 256, 256)), BOTH,
          (SERVICE, GAP), claims.SHORT_LONG),
    Suite(8, "Long prompts against long answers (poisson_short_long_2)", _poisson((8.0, 512, 32), (1.5, 32, 512)), BOTH,
          (SERVICE, GAP), claims.PREFILL_DECODE),
    Suite(9, "A client whose rate rises (increase)", _increase, BOTH, (SERVICE, WAIT), claims.INCREASE),
    Suite(10, "Rates that change twice (dist_shift)", _shift, ("vtc", "lcf"), (SERVICE,), claims.SHIFT, 900.0),
    Suite(16, "Four clients of different weight (overload-weighted)", _overload(0.8, 0.8, 1.2, 1.6), ("vtc", WEIGHTED),
          (SERVICE,), claims.WEIGHTED),
)


def _figure(suite: Suite) -> Figure:
    def timetable(platform: Platform, duration_s: float, options: Options) -> pl.DataFrame:
        return suite.make(duration_s, options.seed)

    return Figure(
        id=f"vtc/fig{suite.number}",
        title=suite.title,
        platforms=(S1,),
        settings=SETTINGS,
        systems=suite.systems,
        sweep=Sweep("duration_s", {S1.name: (suite.duration_s,)}, quick=(QUICK_S,)),
        calibrations=CALIBRATIONS,
        timetable=timetable,
        measure=over_time(lambda end_s: min(WINDOW_S, end_s / 4)),
        draw=all_of(*(_picture(suite, letter, metric) for letter, metric in zip("ab", suite.shows, strict=False))),
        claims=suite.claims,
        point_seconds=1.5,
        point_bytes=400_000,
        record_steps=True,
        kv_tokens=POOL_TOKENS,
    )


def _picture(suite: Suite, letter: str, metric: str) -> Curves:
    """Differences have a curve a system, other quantities a curve a client and a panel a system."""
    stem = f"fig{suite.number}{letter}"
    if metric == GAP:
        return Curves(stem, SHOWN[metric], labels=TITLES, metric=metric)
    return Curves(stem, SHOWN[metric], series="client", panels="system", labels=TITLES, metric=metric, rows=_spaced)


def _spaced(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("client").str.replace("-", " "))


SUITE_FIGURES = tuple(_figure(suite) for suite in SUITES)
