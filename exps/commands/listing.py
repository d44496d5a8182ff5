"""What there is to run, and what of it this machine can."""

from __future__ import annotations

from typing import Any

import polars as pl

from engine.executors.simulated.profiles import accelerators, load_deployment, models, pairs
from exps.papers.registry import FIGURES, system_names
from exps.report import Reporter
from exps.run.backends import BACKENDS
from exps.run.plan import minutes
from hosting.machine import cores


def listing() -> dict[str, Any]:
    """The figures with their models, systems, points, minutes on this machine and megabytes; all systems; and on which
    models and hardware a trace can be simulated."""
    return {
        "figures": _figures(cores()),
        "systems": system_names(),
        "simulated": _simulated(),
        "models": models(),
        "hardware": accelerators(),
    }


def _figures(workers: int) -> list[dict[str, Any]]:
    able = [backend for backend in BACKENDS.values() if backend.hindrance(None) is None]
    return [
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


def _simulated() -> list[dict[str, Any]]:
    """The pairs of which more is known than first principles; ``draft``: a system may speculate."""
    found = [(model, hardware, load_deployment(model, hardware)) for model, hardware in pairs()]
    return [
        {"model": model, "hardware": hardware, "calibrations": list(known.calibrations), "draft": known.draft is not None}
        for model, hardware, known in found
    ]


def show(report: Reporter, found: dict[str, Any], as_json: bool) -> None:
    """The listing as tables, or as JSON."""
    if as_json:
        report.json(found)
        return
    caption = f"Points and minutes are those of the paper's own models, simulated on the {cores()} cores here."
    report.frame("Figures", pl.DataFrame([_figure_row(row) for row in found["figures"]]), caption)
    report.frame("Models and hardware, for simulate", pl.DataFrame([_pair_row(row) for row in found["simulated"]]))
    report.say(
        f"Any other pair is simulated from first principles and without speculation: {', '.join(found['models'])},"
        f" on as many of {', '.join(found['hardware'])} as hold the model, four being 4x{found['hardware'][0]}."
    )
    systems = ", ".join(found["systems"])
    report.say(f"Systems, for any figure: {systems}; or a composition, as in order=vtc,spec=adaserve.")


def _figure_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "figure": row["figure"],
        "title": row["title"],
        "models": ", ".join(row["models"]),
        "settings": ", ".join(row["settings"]),
        "points": row["points"],
        "cost": f"uses {row['points_of']}" if row["points_of"] else f"{row['minutes']} min, {row['disk_mb']} MB",
        "calibrations": ", ".join(row["calibrations"]),
        "runs here on": ", ".join(row["backends"]),
    }


def _pair_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "--model": row["model"],
        "--hardware": row["hardware"],
        "calibrations": ", ".join(row["calibrations"]),
        "speculation": "yes" if row["draft"] else "no draft model",
    }
