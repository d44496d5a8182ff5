"""`cli.py validate --measured`: every complete native point of a results folder, served again by the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import InputError
from engine.system import parse_system
from exps.metrics.requests import summarize
from exps.report import Reporter
from exps.run.backends import NATIVE
from exps.run.local import MEASURED
from exps.run.records import MANIFEST, REQUESTS
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.timetable import SCHEMA, timetable


@dataclass(frozen=True)
class Compared:
    """One point on both: attainment in per cent, the mean step in milliseconds, tokens a verification."""

    figure: str
    model: str
    hardware: str
    system: str
    x: float
    native: dict[str, float]
    simulated: dict[str, float]

    def row(self) -> dict[str, Any]:
        """The errors: points of attainment, per cent of the others."""
        ours, theirs = self.simulated, self.native
        return {
            "x": self.x, "system": self.system,
            "attained_pct": theirs["attainment_pct"], "points": ours["attainment_pct"] - theirs["attainment_pct"],
            "step_ms": theirs["step_ms"], "error_pct": 100 * (ours["step_ms"] / theirs["step_ms"] - 1),
            "tokens": theirs["tokens"], "simulated": ours["tokens"],
        }

    @property
    def place(self) -> str:
        return f"{self.figure} {self.model} on {self.hardware}"


def command(results: Path, as_json: bool, report: Reporter) -> None:
    """Print the errors of every point, and their means over all points. InputError where nothing was measured."""
    points = sorted(compared(results), key=lambda one: (one.place, one.x, one.system))
    if not points:
        raise InputError(f"{results} has no native point that was served to the end; run a figure with --backend native.")
    if as_json:
        report.json([{"place": point.place, **point.row()} for point in points])
        return
    for place in dict.fromkeys(point.place for point in points):
        rows = pl.DataFrame([point.row() for point in points if point.place == place])
        means = [float(rows[name].abs().mean()) for name in ("points", "error_pct")]  # type: ignore[arg-type]
        caption = "points, error_pct and simulated: what the simulator says, less or beside what was measured. mean error over"
        caption += f" {rows.height} points: {means[0]:.2f} points of attainment, {means[1]:.1f} % of the step time."
        report.frame(place, rows, caption)


def compared(results: Path) -> Iterator[Compared]:
    """The points of ``results`` that were served natively, whole workloads, to the end."""
    for path in sorted(results.rglob(MANIFEST)):
        manifest = json.loads(path.read_text())
        asked = manifest["configuration"]
        if asked.get("backend") != NATIVE.name or asked.get("quick") or manifest["status"] != "complete":
            continue
        requests = pl.read_parquet(path.parent / REQUESTS)
        if (requests["status"] == "finished").all():
            yield _compared(asked, manifest["facts"], requests, results / "profiles")


def _compared(asked: dict[str, Any], facts: dict[str, Any], requests: pl.DataFrame, profiles: Path) -> Compared:
    known = {name: requests[name] for name in SCHEMA if name in requests.columns}
    setup = Setup(
        parse_system(asked["system"]), asked["model"], asked["hardware"], MEASURED, asked["seed"], asked["kv_tokens"],
        profiles=profiles, policies=asked["policies"],
    )
    simulated = simulate(timetable(known), setup)
    native, ours = ({**_measures(frame), "step_ms": 1e3 * of["busy_s"] / of["steps"]}
                    for frame, of in ((requests, facts), (simulated.requests, simulated.facts)))
    (x,) = asked["point"].values()
    return Compared(asked["figure"], asked["model"], asked["hardware"], asked["system"], x, native, ours)


def _measures(requests: pl.DataFrame) -> dict[str, float]:
    summary = summarize(requests)
    return {"attainment_pct": summary["attainment_pct"] or 0.0, "tokens": summary["mean_tokens_per_verification"] or 1.0}
