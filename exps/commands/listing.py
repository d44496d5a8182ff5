"""What there is to run, and what of it this machine can."""

from __future__ import annotations

from typing import Any

import polars as pl

from exps.papers.registry import FIGURES, system_names
from exps.report import Reporter
from exps.run.backends import BACKENDS
from exps.run.plan import minutes
from hosting.machine import cores


def listing() -> dict[str, Any]:
    """The figures with their models, systems, points, minutes on this machine and megabytes; and all systems."""
    workers = cores()
    able = [backend for backend in BACKENDS.values() if backend.hindrance(None) is None]
    figures = [
        {
            "figure": figure.id,
            "title": figure.title,
            "models": [platform.name for platform in figure.platforms],
            "settings": [setting.name for setting in figure.settings if setting.name],
            "systems": list(figure.systems),
            "points": (points := sum(figure.size(platform) for platform in figure.published_platforms)),
            "points_of": figure.points_of,
            "minutes": 0 if figure.points_of else minutes(figure, workers),
            "disk_mb": 0.0 if figure.points_of else round(points * figure.point_bytes / 1e6, 1),
            "calibrations": list(figure.calibrations),
            "backends": [backend.name for backend in able if backend.platforms(figure)],
        }
        for figure in FIGURES.values()
    ]
    return {"figures": figures, "systems": system_names()}


def show(report: Reporter, found: dict[str, Any], as_json: bool) -> None:
    """The listing as a table, or as JSON."""
    if as_json:
        report.json(found)
        return
    rows = [
        {
            "figure": row["figure"],
            "title": row["title"],
            "models": ", ".join(row["models"]),
            "settings": ", ".join(row["settings"]),
            "points": row["points"],
            "cost": f"uses {row['points_of']}" if row["points_of"] else f"{row['minutes']} min, {row['disk_mb']} MB",
            "calibrations": ", ".join(row["calibrations"]),
            "runs here on": ", ".join(row["backends"]),
        }
        for row in found["figures"]
    ]
    caption = f"Points and minutes are those of the paper's own models, simulated on the {cores()} cores here."
    report.frame("Figures", pl.DataFrame(rows), caption)
    systems = ", ".join(found["systems"])
    report.say(f"Systems, for any figure: {systems}; or a composition, as in order=vtc,spec=adaserve.")
