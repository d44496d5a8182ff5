"""dLoRA, Figure 5: what adapters that are not merged cost beside the base model, over the batch."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.pictures import Curves
from exps.papers.dlora.claims import FIG5_CLAIMS
from exps.papers.dlora.measures import published
from exps.papers.dlora.setup import CONSTANTS, LLAMA_7B, MERGED, UNMERGED, figure, setting
from plots.axes import Axis

BATCHES = tuple(float(batch) for batch in range(2, 17, 2))
PROMPT, OUTPUT = 32, 64


def timetable(platform: Platform, batch: float, options: Options) -> pl.DataFrame:
    """So many requests at once for one adapter."""
    from exps.workload.timetable import timetable as made

    n = int(batch)
    names = ["adapter-000"] * n
    return made({"arrival_s": [0.0] * n, "client": names, "adapter": names, "prompt_tokens": [PROMPT] * n,
                 "output_tokens": [OUTPUT] * n})


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """A row a batch: merged_s and unmerged_s of a decode step, and share_pct, what the adapter adds to the base model's."""
    steps = {(record.point.system, record.point.x): _step_s(record) for record in records}
    rows = [
        {
            "model": record.point.platform.name, "setting": "", "system": UNMERGED, "batch": record.point.x,
            "merged_s": base_s, "unmerged_s": step_s, "share_pct": 100 * (step_s / base_s - 1),
        }
        for record in records
        if record.point.system == UNMERGED and (base_s := steps.get((MERGED, record.point.x)))
        and (step_s := steps[UNMERGED, record.point.x])
    ]
    schema = {"model": pl.String, "setting": pl.String, "system": pl.String, "batch": pl.Float64, "merged_s": pl.Float64,
              "unmerged_s": pl.Float64, "share_pct": pl.Float64}
    return pl.DataFrame(rows, schema)


def _step_s(record: Record) -> float:
    """Mean seconds of the decode steps."""
    one = record.requests.row(0, named=True)
    return float((one["finished_s"] - one["first_token_s"]) / (one["output_tokens"] - 1))


def _theirs(metrics: pl.DataFrame) -> pl.DataFrame:
    """BAx by Wx, of one layer of 4096 x 4096."""
    shares = published("fig5").with_columns(share_pct=100 * pl.col("adapter_us") / pl.col("base_us"))
    return shares.select("batch", "share_pct", system=pl.lit(UNMERGED))


FIG5: Figure = figure(
    "fig5",
    "What an adapter that is not merged adds to a step, over the batch",
    LLAMA_7B,
    timetable,
    calibrations=(CONSTANTS,),
    settings=setting(LLAMA_7B),
    systems=(MERGED, UNMERGED),
    sweep=Sweep("batch", {LLAMA_7B.name: BATCHES}),
    measure=measure,
    draw=Curves(
        "fig5", Axis("share_pct", "Adapter by base model (%)", (0, None)), Axis("batch", "Requests in the batch"),
        labels={UNMERGED: "whole step; published: one layer, BAx by Wx"}, published=_theirs,
    ).draw,
    claims=FIG5_CLAIMS,
    point_seconds=0.1,
)
