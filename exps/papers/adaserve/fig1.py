"""AdaServe, Figure 1: how long tokens take under five schedulers that do not customise speculation.

The paper does not say which model and load it shows: drawn with those of the evaluation at 4 requests a second, not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from exps.figures.figure import Record, Sweep
from exps.figures.pictures import Caption
from exps.metrics.requests import with_latencies
from exps.papers.adaserve.evaluation import RPS, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import titles
from exps.papers.adaserve.workloads import middle_rate

SYSTEMS = ("vllm", "sarathi", "vllm-priority", "fastserve", "vtc")
SHOWN = {"coding": "Category 1, coding", "chat": "Category 2, chat"}


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """A row a finished request of the two tighter categories: model, system, rps, category, tpot_ms, slo_ms."""
    parts = []
    for record in records:
        point, requests = record.point, with_latencies(record.requests)
        there = requests.filter(pl.col("category").is_in(list(SHOWN)), pl.col("tpot_s").is_not_null())
        parts.append(
            there.select(
                model=pl.lit(point.platform.name), system=pl.lit(point.system), rps=pl.lit(point.x), category="category",
                tpot_ms=1000 * pl.col("tpot_s"), slo_ms=1000 * pl.col("slo_tpot_s"),
            )
        )
    return pl.concat(parts)


def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """Violins, a picture a model."""
    from plots.violins import violins

    paths: list[Path] = []
    for model in metrics["model"].unique(maintain_order=True):
        rows = metrics.filter(pl.col("model") == model)
        footer = f"{titles()[model]}. The share below each violin met the SLO. {caption(rows)}"
        path = folder / f"fig1-{model}-{suffix}"
        paths += violins(rows, panels=SHOWN, path=path, label="Time per output token (ms)", footer=footer)
    return paths


FIG1 = replace(
    FIG8,
    id="adaserve/fig1",
    title="Time per output token under schedulers without customised speculation",
    systems=SYSTEMS,
    sweep=Sweep("rps", of_each_model((RPS,))),
    measure=measure,
    draw=draw,
    claims=(),
    deviation=None,
    points_of=FIG8.id,
    local_values=lambda platform, options: (middle_rate(platform, options),),
)
