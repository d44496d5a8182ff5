"""AdaServe, Figure 16: what each part adds at 4 requests a second, beside a point of Figure 8."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import polars as pl

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.figure import Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Bars
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import ADASERVE, RPS, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.fig14 import bars_of, published_bars
from exps.papers.adaserve.pictures import ATTAINMENT
from exps.papers.adaserve.workloads import middle_rate

STAGES = {
    "adaserve-equal": "equal shares",
    "adaserve-slo": "+ SLO selection",
    "adaserve-eager": "+ throughput selection",
    ADASERVE: "+ CUDA graphs",
}


def _rows(metrics: pl.DataFrame) -> pl.DataFrame:
    return bars_of(metrics).filter(pl.col("series").is_in(list(STAGES)))


def _each_adds(numbers: Numbers) -> Verdict:
    rate = max(numbers.each(ADASERVE, ATTAINMENT.column, "rps"))
    values = [numbers.at(system, ATTAINMENT.column, rps=rate) for system in STAGES]
    added = [after - before for before, after in pairwise(values)]
    return verdict(min(added) > 0, f"{values[0]:.1f}" + "".join(f" {more:+.1f}" for more in added))


FIG16 = replace(
    FIG8,
    id="adaserve/fig16",
    title="What each part of AdaServe adds",
    systems=tuple(STAGES),
    sweep=Sweep("rps", of_each_model((RPS,))),
    draw=Bars(
        "fig16", {"attainment": ATTAINMENT.label}, "", STAGES, _rows, lambda metrics: published_bars("fig16", metrics)
    ).draw,
    claims=(
        Claim(
            "C11",
            "Each part adds attainment: SLO selection, throughput selection, CUDA graphs",
            {"llama": "65.4 +9.9 +14.7 +4.1", "qwen": "27.3 +49.7 +5.1 +8.7"},
            "none",
            _each_adds,
            "selection chooses among hardly more candidates than the budget has room for (n (1 + d w) beside B), so that it"
            " moves attainment by few points whatever goes first; CUDA graphs count where a draft step is shorter than"
            " launching its layers, on Qwen. What the published equal scheduling was is not told.",
        ),
    ),
    deviation=distance_to("fig16", "rps", ATTAINMENT.column),
    points_of=FIG8.id,
    local_values=lambda platform, options: (middle_rate(platform, options),),
)
