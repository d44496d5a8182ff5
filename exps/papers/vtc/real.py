"""VTC's real workload: one set of points, from which Figures 11 to 14, 18 and 20 and Tables 2 and 3 draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from exps.figures.claims import NOT_JUDGED, Claim, Verdict
from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Draw
from exps.papers.vtc.claims import CALIBRATIONS, POOL_TOKENS, SETTINGS
from exps.papers.vtc.fig3 import S1

OWNER = "vtc/table2"
DURATION_S, QUICK_S = 600.0, 120.0
LIMITS = (5, 10, 15, 20, 30)
RPM = {limit: f"rpm-{limit}" for limit in LIMITS}


def as_recorded(more: str = "") -> str:
    """VTC with the artifact's charges, and ``more`` of its parameters."""
    return f"vtc,order=vtc(lift_from_empty=false,duplicate_charge=true{more})"


PROFILED = "vtc,order=vtc(cost=profiled)"
TITLES = {
    "fcfs": "FCFS", "vtc": "VTC", PROFILED: "VTC, profiled cost", **{name: f"RPM {limit}" for limit, name in RPM.items()},
}


def timetable(platform: Platform, duration_s: float, options: Options) -> pl.DataFrame:
    """Suite ``real``: the recorded requests, or as many with their statistics."""
    from exps.papers.vtc.real_trace import drawn_real, recorded_real

    made = recorded_real(options.traces) if options.traces else drawn_real(options.seed)
    return made.filter(pl.col("arrival_s") <= duration_s)


def ranks(requests: pl.DataFrame) -> pl.DataFrame:
    """client, requests, rank: rank 1 sent the fewest; equal ones by name."""
    counts = requests.group_by("client").agg(requests=pl.len()).sort("requests", "client")
    return counts.with_columns(rank=pl.int_range(1, pl.len() + 1))


def is_recorded(record: Record) -> bool:
    """Whether a point served the artifact's own requests."""
    configuration = record.manifest.get("configuration", {})
    return configuration.get("workload", {}).get("source") == Options(traces=Path()).workload_source


def of_recorded(numbers: Numbers, found: Verdict) -> Verdict:
    """Numbers that were published of the artifact's own requests; those of drawn ones are shown, and not judged.

    The metrics have a column ``recorded``.
    """
    if numbers.frame["recorded"].all():
        return found
    return Verdict(NOT_JUDGED, f"{found.ours}; drawn requests, --traces judges")


def figure(
    name: str,
    title: str,
    systems: tuple[str, ...],
    measure: Callable[[Sequence[Record]], pl.DataFrame],
    draw: Draw,
    claims: tuple[Claim, ...],
) -> Figure:
    """A figure on the real workload; its points are those of ``OWNER``."""
    return Figure(
        id=f"vtc/{name}",
        title=title,
        platforms=(S1,),
        settings=SETTINGS,
        systems=systems,
        sweep=Sweep("duration_s", {S1.name: (DURATION_S,)}, quick=(QUICK_S,)),
        calibrations=CALIBRATIONS,
        timetable=timetable,
        measure=measure,
        draw=draw,
        claims=claims,
        point_seconds=1.0,
        point_bytes=150_000,
        kv_tokens=POOL_TOKENS,
        has_traces=True,
        points_of=OWNER if OWNER != f"vtc/{name}" else None,
    )
