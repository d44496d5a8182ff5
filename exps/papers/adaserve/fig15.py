"""AdaServe, Figure 15: what its time goes to, measured where drafting, selection and verification take place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.figure import Record, Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Bars
from exps.figures.published import read_published
from exps.papers.adaserve.evaluation import ADASERVE
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import titles
from exps.papers.adaserve.workloads import middle_rate, timetable_of
from exps.run.local import LLAMA_70B, PAIRS, QWEN_32B

PARTS = {"scheduling": "Scheduling", "speculation": "Speculation", "verification": "Verification"}
SAME = {"llama": LLAMA_70B.name, "qwen": QWEN_32B.name}
"""The machine at hand's models that are the paper's."""


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """A row a point and part: model, system, rps, part, share_pct of the time of steps that decode.

    From the run's facts: draft_s, forward_s and, of busy_s, what neither they nor prefill_s took, which is the scheduler's.
    """
    rows = []
    for record in records:
        point, facts = record.point, record.manifest.get("facts", {})
        seconds = {"speculation": facts.get("draft_s"), "verification": facts.get("forward_s")}
        if None not in seconds.values():
            seconds["scheduling"] = facts["busy_s"] - facts["prefill_s"] - sum(seconds.values())
        whole = sum(seconds.values()) if "scheduling" in seconds else None
        key = (point.platform.name, point.system, point.x)
        rows += [(*key, part, 100 * seconds[part] / whole if whole else None) for part in PARTS]
    schema = {"model": pl.String, "system": pl.String, "rps": pl.Float64, "part": pl.String, "share_pct": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _rows(metrics: pl.DataFrame) -> pl.DataFrame:
    groups = pl.col("model").replace_strict(titles(), return_dtype=pl.String)
    series = pl.col("part").replace_strict(PARTS, return_dtype=pl.String)
    return metrics.select(panel=pl.lit("share"), group=groups, series=series, value="share_pct")


def _published(metrics: pl.DataFrame) -> pl.DataFrame | None:
    there = metrics["model"].unique().to_list()
    named = read_published("adaserve", "fig15").with_columns(pl.col("model").replace(SAME))
    found = named.filter(pl.col("model").is_in(there))
    return None if found.is_empty() else _rows(found)


def _scheduling_is_cheap(numbers: Numbers) -> Verdict:
    share = {part: numbers.at(ADASERVE, "share_pct", part=part) for part in PARTS}
    told = ", ".join(f"{part} {value:.2f} %" for part, value in share.items())
    return verdict(share["scheduling"] < 1 and share["verification"] > share["speculation"], told)


FIG15 = replace(
    FIG8,
    id="adaserve/fig15",
    title="What AdaServe's time goes to",
    platforms=PAIRS,
    systems=(ADASERVE,),
    sweep=Sweep("rps", {}),
    timetable=timetable_of("of_rate", rate=True),
    measure=measure,
    draw=Bars("fig15", {"share": "Share of the time (%)"}, "", {}, _rows, _published).draw,
    claims=(
        Claim(
            "C10",
            "Scheduling takes less than 1 % of the time, and verification more than speculation",
            {
                LLAMA_70B.name: "scheduling 0.31 %, speculation 31.50 %, verification 68.19 %",
                QWEN_32B.name: "scheduling 0.41 %, speculation 26.96 %, verification 72.63 %",
            },
            "none",
            _scheduling_is_cheap,
        ),
    ),
    deviation=None,
    has_traces=False,
    local_values=lambda platform, options: (middle_rate(platform, options),),
    backend="native",
    why="is what a real engine's time goes to, which a simulator (sim) would make up",
    timed_parts=True,
    output_tokens=128,
)
