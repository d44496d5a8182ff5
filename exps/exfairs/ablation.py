"""What decides whether ExFairS helps: the sign of its service term, alpha, the length of its rounds, the distance moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exps.exfairs.measures import sweep_measure
from exps.exfairs.setup import BASELINES, PLACES, PLATFORMS, VARIANTS, policies, scenario_timetable
from exps.exfairs.sweep_claims import ABLATION_CLAIMS
from exps.figure import Figure, Options, Platform, Sweep

if TYPE_CHECKING:
    import polars as pl

SHOWN = {"violation_share": "Share violated", "jain_experience": "Jain's index of experience"}


def timetable(platform: Platform, load: float, options: Options) -> pl.DataFrame:
    """The scenario of the platform's name."""
    return scenario_timetable(PLACES[platform.name].scenario, options, load)


def draw(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Two rows of bars, a column a place: the share violated, and Jain's index."""
    from exps.exfairs.pictures import system_strokes
    from plots.sheets import Bars, bar_sheet

    shown = [platform for platform in PLATFORMS if platform.name in set(metrics["model"])]
    rows = metrics.pivot(on="model", index="system", values=list(SHOWN), separator=" ", maintain_order=True)
    strokes = system_strokes(metrics["system"].unique(maintain_order=True).to_list())
    panels = [
        Bars({f"{metric} {platform.name}": label}, f"{label}\n{platform.title}", limits=(0, 1))
        for metric, label in SHOWN.items()
        for platform in shown
    ]
    return list(
        bar_sheet(
            rows,
            panels,
            columns=len(shown),
            category="system",
            names={system: stroke.label or system for system, stroke in strokes.items()},
            colours={system: stroke.colour for system, stroke in strokes.items()},
            path=folder / f"ablation-{suffix}",
            footer=caption,
        )
    )


ABLATION = Figure(
    id="exfairs/ablation",
    title="Which of ExFairS's choices decide",
    platforms=PLATFORMS,
    systems=(*VARIANTS, *BASELINES),
    sweep=Sweep("load", {name: (place.load,) for name, place in PLACES.items()}),
    calibrations=("first-principles",),
    timetable=timetable,
    measure=sweep_measure,
    draw=draw,
    claims=ABLATION_CLAIMS,
    point_seconds=0.25,
    point_bytes=120_000,
    policies=policies,
)
