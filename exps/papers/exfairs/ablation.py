"""What decides whether ExFairS helps: the sign of its service term, alpha, the length of its rounds, the distance moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from exps.figures.pictures import Caption
from exps.papers.exfairs.setup import BASELINES, SETTINGS, VARIANTS
from exps.papers.exfairs.sweep_claims import ABLATION_CLAIMS
from exps.papers.exfairs.sweeps import sweep_figure

SHOWN = {"violation_share": "Share violated", "jain_experience": "Jain's index of experience"}


def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """Two rows of bars, a column a place: the share violated, and Jain's index."""
    from exps.papers.exfairs.pictures import system_strokes
    from plots.sheets import Bars, bar_sheet

    shown = [setting for setting in SETTINGS if setting.name in set(metrics["setting"])]
    rows = metrics.pivot(on="setting", index="system", values=list(SHOWN), separator=" ", maintain_order=True)
    strokes = system_strokes(metrics["system"].unique(maintain_order=True).to_list())
    panels = [
        Bars({f"{metric} {setting.name}": label}, f"{label}\n{setting.title}", limits=(0, 1))
        for metric, label in SHOWN.items()
        for setting in shown
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
            footer=caption(metrics),
        )
    )


ABLATION = replace(
    sweep_figure(
        "ablation", "Which of ExFairS's choices decide", "load", (1.0,), (*VARIANTS, *BASELINES), ABLATION_CLAIMS
    ),
    draw=draw,
)
