"""AdaServe's speculation under fair orderings, which nobody has published: attainment and service difference together.

One client sends three of four requests, another the fourth; both have the evaluation's mix, at rates up to twice its largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from exps.figures.figure import Options, Platform, Record, Sweep
from exps.figures.pictures import Caption
from exps.metrics.requests import summarize, summarize_by_client
from exps.metrics.service import largest_backlogged_change, response_intervals
from exps.papers.adaserve.evaluation import ADASERVE, PLATFORMS, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, RPS, titles
from exps.papers.adaserve.workloads import timetable_of
from plots.axes import Axis

VTC, FAIRSERVE = "order=vtc,spec=adaserve", "order=fairserve,spec=adaserve"
LABELS = {VTC: "VTC + AdaServe", FAIRSERVE: "FairServe + AdaServe"}
RATES = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
HEAVY, LIGHT, HEAVY_SHARE = "heavy", "light", 0.75
USUAL_OUTPUT, USUAL_SYSTEM = 206.0, 1.0
PANELS = (
    replace(ATTAINMENT, label="SLO attainment (%)"),
    Axis("service_difference", "Service difference while both wait (tokens)", (0, None)),
    Axis("light_ttft_s", "Mean TTFT of the light client (s)", (0, None)),
)


def timetable(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """The evaluation's load with two clients; each category is an application that usually needs its mean lengths."""
    drawn = timetable_of("of_rate")(platform, rps, options)
    light = np.random.default_rng((options.seed, 1)).random(drawn.height) >= HEAVY_SHARE
    return drawn.with_columns(
        client=pl.when(pl.Series(light)).then(pl.lit(LIGHT)).otherwise(pl.lit(HEAVY)),
        app="category",
        expected_input=pl.col("prompt_tokens").mean().over("category"),
        expected_system=pl.lit(USUAL_SYSTEM),
        expected_output=pl.lit(USUAL_OUTPUT),
    )


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """A row a point: model, system, rps, attainment_pct, service_difference, light_ttft_s, aborted, rejected."""
    rows = []
    for record in records:
        point, requests = record.point, record.requests
        until_s = float(requests["arrival_s"].max() or 0.0)  # type: ignore[arg-type]
        whole, of_client = summarize(requests), summarize_by_client(requests).filter(client=LIGHT)
        difference = largest_backlogged_change(requests, response_intervals(requests), until_s, (HEAVY, LIGHT))
        ttft = of_client["mean_ttft_s"].to_list()
        rows.append((point.platform.name, point.system, point.x, whole["attainment_pct"], difference, *(ttft or [None]),
                     whole["aborted"], whole["rejected"]))
    schema = {"model": pl.String, "system": pl.String, "rps": pl.Float64, "attainment_pct": pl.Float64,
              "service_difference": pl.Float64, "light_ttft_s": pl.Float64, "aborted": pl.Int64, "rejected": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """A picture a model, a panel a measure."""
    from plots.sheets import Stroke, line_sheet
    from plots.style import looks_of

    paths: list[Path] = []
    looks = looks_of(metrics["system"].unique(maintain_order=True).to_list())
    strokes = {
        name: Stroke(look.colour, LABELS.get(name, look.label), "-" if "adaserve" in name else ":", look.marker)
        for name, look in looks.items()
    }
    for model in metrics["model"].unique(maintain_order=True):
        rows = metrics.filter(pl.col("model") == model)
        paths += line_sheet(
            rows, PANELS, columns=len(PANELS), x=RPS, series="system", strokes=strokes, title=titles()[model],
            path=folder / f"together-{model}-{suffix}", footer=caption(rows), whole=False, panel_in=2.0,
        )
    return paths


TOGETHER = replace(
    FIG8,
    id="adaserve/together",
    title="AdaServe's speculation under fair orderings: attainment and service difference",
    platforms=PLATFORMS,
    systems=(ADASERVE, VTC, FAIRSERVE, "vtc", "sarathi"),
    sweep=Sweep("rps", of_each_model(RATES)),
    timetable=timetable,
    measure=measure,
    draw=draw,
    claims=(),
    deviation=None,
    has_traces=False,
    local_values=None,
)
