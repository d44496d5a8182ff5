"""`cli.py validate --native`: one workload on the native engine and on the simulator with this machine's profile."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from engine.executors.simulated.engines import ENGINES
from engine.executors.simulated.profiles import Deployment
from exps.figures.figure import Options, Point
from exps.metrics.requests import summarize
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.registry import options_for
from exps.report import Reporter
from exps.run.backends import NATIVE
from exps.run.backends.native import check_torch
from exps.run.local import TINY, measured
from exps.run.plan import setup_of
from exps.run.serving import Outcome, Setup
from exps.run.simulation import simulate

SYSTEMS = ("vllm", "sarathi", "vllm-spec-4", "adaserve")
LIMITS = {"step_ms": 15.0, "attainment_pct": 5.0, "tokens_per_verification": 5.0}


@dataclass(frozen=True)
class Agreement:
    """A metric of one system on both. ``error``: percent, or points for a percentage; at most ``limit`` is agreement.

    ``slower``: how long a decode step took just before and after the native run, against the profile: machines drift.
    """

    system: str
    metric: str
    native: float
    simulated: float
    error: float
    limit: float
    slower: float

    @property
    def agrees(self) -> bool:
        return abs(self.error) <= self.limit


def command(results: Path, seed: int, quick: bool, as_json: bool, report: Reporter) -> bool:
    """Run the middle rate of Figure 8 on both and print the errors; True when all are within their limits."""
    check_torch()
    options = options_for(FIG8, Options(seed=seed, quick=quick, profiles=results / "profiles"), [TINY])
    measured(TINY, options)
    rates = FIG8.values(TINY, options)
    rate = rates[len(rates) // 2]
    timetable = FIG8.timetable(TINY, rate, options)
    found: list[Agreement] = []
    with report.progress(len(SYSTEMS)) as advance:
        for system in SYSTEMS:
            found += compare(timetable, setup_of(Point(FIG8, TINY, system, rate), options))
            advance()
    if as_json:
        report.json([asdict(row) | {"agrees": row.agrees} for row in found])
    else:
        rows = [_row(row) for row in found]
        caption = f"{TINY.title}, Figure 8 at {rate} requests/s; attainment in points, the others in percent. machine: the"
        caption += " time of a decode step around the native run over the profile's, at which the simulator then runs."
        report.frame("Native and simulated", pl.DataFrame(rows), caption)
    return all(row.agrees for row in found)


def compare(timetable: pl.DataFrame, setup: Setup) -> list[Agreement]:
    """The same workload and system on both executors, the simulator at the speed that the machine had meanwhile."""
    from exps.validate.probe import slowness

    before = slowness(setup)
    native = _measures(NATIVE.serve(timetable, replace(setup, backend=NATIVE.name)))
    slower = (before + slowness(setup)) / 2
    simulated = _measures(simulate(timetable, setup, slowed(setup.deployment(), slower)))
    rows = []
    for metric, limit in LIMITS.items():
        if metric not in native:
            continue
        ours, theirs = simulated[metric], native[metric]
        error = ours - theirs if metric.endswith("_pct") else 100 * (ours / theirs - 1)
        rows.append(Agreement(setup.system.name, metric, theirs, ours, error, limit, slower))
    return rows


def slowed(deployment: Deployment, slower: float) -> Deployment:
    """A deployment whose steps, the host's part excepted, all take ``slower`` times as long."""
    calibrations = {
        name: replace(calibration, scale={kind: slower * calibration.scale.get(kind, 1.0) for kind in ENGINES})
        for name, calibration in deployment.calibrations.items()
    }
    return replace(deployment, calibrations=calibrations)


def _measures(outcome: Outcome) -> dict[str, float]:
    summary = summarize(outcome.requests)
    measures = {
        "step_ms": 1e3 * outcome.facts["busy_s"] / outcome.facts["steps"],
        "attainment_pct": float(summary["attainment_pct"]),
    }
    if summary["acceptance_pct"] is not None:
        measures["tokens_per_verification"] = float(summary["mean_tokens_per_verification"])
    return measures


def _row(row: Agreement) -> dict[str, Any]:
    return {
        "system": row.system,
        "metric": row.metric,
        "native": row.native,
        "simulated": row.simulated,
        "error": round(row.error, 1),
        "limit": row.limit,
        "machine": f"x{row.slower:.2f}",
        "verdict": "agrees" if row.agrees else "DIFFERS",
    }
