"""AdaServe, Figure 11: attainment and goodput over the SLO of urgent requests, at 4 requests a second.

What looks at no SLO is served once, at a scale of 1, and scored by every scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from exps.figures.figure import Record, Sweep
from exps.figures.pictures import all_of
from exps.metrics.sweep import sweep_table
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import BASELINES, SCALES, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, GOODPUT, SCALE, over
from exps.papers.adaserve.scale_claims import SCALE_CLAIMS
from exps.papers.adaserve.workloads import timetable_of

SERVED = 1.0
CONTRADICTED = (("qwen", "vllm-spec-8"),)
"""40.7 % at a scale of 1.2, where Figures 8 and 10 have 22 %, with two fifths less goodput for each attained request."""


def served_at(system: str, scale: float) -> float:
    """The baselines do not look at SLOs."""
    return SERVED if system in BASELINES else scale


def rescored(record: Record) -> Record:
    """The records with the SLOs of urgent requests at the point's scale, whatever they were served at."""
    by = record.point.x / record.point.served.x
    slo = pl.when(pl.col("category") == "coding").then(pl.col("slo_tpot_s") * by).otherwise("slo_tpot_s")
    return replace(record, requests=record.requests.with_columns(slo_tpot_s=slo))


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """As exps.metrics.sweep."""
    return sweep_table([rescored(record) for record in records])


FIG11 = replace(
    FIG8,
    id="adaserve/fig11",
    title="SLO attainment and goodput over the SLO of urgent requests",
    sweep=Sweep("slo_scale", of_each_model(SCALES)),
    timetable=timetable_of("of_slo_scale"),
    measure=measure,
    draw=all_of(over("fig11", SCALE, ATTAINMENT), over("fig11", SCALE, GOODPUT, stem="fig11-goodput")),
    claims=SCALE_CLAIMS,
    deviation=distance_to("fig11", "slo_scale", ATTAINMENT.column, GOODPUT.column, without=CONTRADICTED),
    local_values=lambda platform, options: SCALES,
    served_at=served_at,
)
