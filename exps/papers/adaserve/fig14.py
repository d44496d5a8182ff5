"""AdaServe, Figures 13 and 14: a load with three peaks, one a category, and attainment under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.figure import Record, Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Bars, Curves
from exps.figures.published import read_published
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import ADASERVE, NAMES, PLATFORMS, SYSTEMS, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, titles
from exps.papers.adaserve.workloads import timetable_of
from plots.axes import Axis, Panels

PEAK_RPS = 4.0
BIN_S = 20.0


def bars_of(metrics: pl.DataFrame, column: str = ATTAINMENT.column) -> pl.DataFrame:
    """A group a model, a bar a system."""
    groups = pl.col("model").replace_strict(titles(), return_dtype=pl.String)
    return metrics.select(panel=pl.lit("attainment"), group=groups, series="system", value=column)


def published_bars(figure: str, metrics: pl.DataFrame) -> pl.DataFrame | None:
    """The same of published/``figure``.csv, for the models that ``metrics`` has."""
    found = read_published("adaserve", figure).filter(pl.col("model").is_in(metrics["model"].unique().to_list()))
    return None if found.is_empty() else bars_of(found, "slo_attainment_pct")


def _ranks(numbers: Numbers) -> Verdict:
    values = {system: numbers.at(system, ATTAINMENT.column, peak_rps=PEAK_RPS) for system in SYSTEMS}
    order = sorted(values, key=lambda system: -values[system])
    told = ", ".join(f"{system} {values[system]:.1f}" for system in order)
    return verdict(order[:2] == [ADASERVE, "sarathi"] and order[-1] == "vllm-spec-8", told)


FIG14 = replace(
    FIG8,
    id="adaserve/fig14",
    title="SLO attainment under a load with three peaks",
    platforms=PLATFORMS,
    sweep=Sweep("peak_rps", of_each_model((PEAK_RPS,)), listed=True),
    timetable=timetable_of("fluctuating", swept=False),
    draw=Bars(
        "fig14", {"attainment": ATTAINMENT.label}, "", NAMES, bars_of, lambda metrics: published_bars("fig14", metrics)
    ).draw,
    claims=(
        Claim(
            "C9",
            "Under a fluctuating load AdaServe is first, Sarathi-Serve second and vLLM-Spec(8) last",
            {
                "llama": "A 83.6, Sarathi 65.6, vLLM 52.6, S4 51.6, S6 47.8, S8 38.4",
                "qwen": "A 83.0, Sarathi 73.8, vLLM 64.3, S4 39.2, S6 24.1, S8 12.5",
            },
            "none",
            _ranks,
        ),
    ),
    deviation=distance_to("fig14", "peak_rps", ATTAINMENT.column),
    local_values=None,
)


def rates(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, peak_rps, category, time_s, requests_per_s: arrivals in bins of ``BIN_S``."""
    rows = []
    for record in records:
        point = record.point
        key = (point.platform.name, point.system, point.x)
        for (category,), part in record.requests.group_by("category", maintain_order=True):
            edges = np.arange(0.0, 360.0 + BIN_S / 2, BIN_S)
            counts, _ = np.histogram(part["arrival_s"].to_numpy(), edges)
            middles = edges[:-1] + BIN_S / 2
            rows += [(*key, category, time, count / BIN_S) for time, count in zip(middles, counts.tolist(), strict=True)]
    schema = {"model": pl.String, "system": pl.String, "peak_rps": pl.Float64, "category": pl.String, "time_s": pl.Float64,
              "requests_per_s": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


FIG13 = replace(
    FIG14,
    id="adaserve/fig13",
    title="Arrivals of the load with three peaks",
    systems=(ADASERVE,),
    measure=rates,
    draw=Curves(
        "fig13",
        Axis("requests_per_s", "Requests per second", (0, None)),
        series="category",
        panels=Panels("model", titles(PLATFORMS)),
        published=lambda metrics: read_published("adaserve", "fig13"),
    ).draw,
    claims=(),
    deviation=None,
    points_of=FIG14.id,
)
