"""dLoRA, Figure 7: how invocations of Azure's functions vary over three days of 2019."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.pictures import Curves
from exps.papers.dlora.setup import CONSTANTS, LLAMA_7B, figure, setting
from exps.workload.azure_functions import LOWEST
from plots.axes import Axis

BINS, DAY_S, EACH = 36, 86_400.0, 150


def timetable(platform: Platform, days: float, options: Options) -> pl.DataFrame:
    """150 requests in the busiest bin of 40 minutes, in the others as many as they have of its invocations."""
    from exps.workload.azure_functions import MINUTES, draw_days, read_2019
    from exps.workload.timetable import timetable as made

    bins = int(days) * BINS
    if options.traces is not None:
        calls = read_2019(options.traces, 0, bins, MINUTES // BINS).sum(axis=1)
    else:
        calls = draw_days(int(days), BINS, options.seed)
    counts = np.rint(EACH * calls / calls.max()).astype(int)
    width = DAY_S / BINS
    arrival_s = np.concatenate([width * (number + (np.arange(n) + 0.5) / n) for number, n in enumerate(counts.tolist()) if n])
    n = len(arrival_s)
    return made({"arrival_s": arrival_s, "client": ["azure"] * n, "prompt_tokens": [1] * n, "output_tokens": [1] * n})


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """A row a bin, whose middle is x in days: relative, its requests by those of the busiest."""
    parts = []
    for record in records:
        number = (record.requests["arrival_s"] / (DAY_S / BINS)).cast(pl.Int64)
        counts = number.value_counts().sort("arrival_s")
        parts.append(counts.select(
            model=pl.lit(record.point.platform.name),
            setting=pl.lit(record.point.platform.setting.name),
            system=pl.lit(record.point.system),
            x=(pl.col("arrival_s") + 0.5) / BINS,
            relative=pl.col("count") / pl.col("count").max(),
        ))
    return pl.concat(parts)


FIG7: Figure = figure(
    "fig7",
    "Invocations of Azure's functions over three days of 2019",
    LLAMA_7B,
    timetable,
    calibrations=(CONSTANTS,),
    settings=setting(LLAMA_7B),
    systems=("vllm",),
    sweep=Sweep("days", {LLAMA_7B.name: (3.0,)}),
    measure=measure,
    draw=Curves(
        "fig7", Axis("relative", "Invocations, by the most", (0, 1)), Axis("x", "Time (days)", (0, 3)),
        labels={"vllm": f"requests of 40 minutes (published minimum {LOWEST})"},
    ).draw,
    point_seconds=1.0,
    has_traces=True,
)
