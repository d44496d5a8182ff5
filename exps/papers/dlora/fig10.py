"""dLoRA, Figure 10: latency on one GPU over the skew of popularity; and over the speed of the kernel that serves unmerged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Curves
from exps.papers.dlora.claims import MEAN, STRIDES, skew_claims
from exps.papers.dlora.measures import off, over_axis, published
from exps.papers.dlora.setup import CONSTANTS, DLORA, LLAMA_7B, MERGED, MULTI_LORA, TITLES, UNMERGED, figure, setting, workload
from exps.workload.dlora import Load
from plots.axes import Axis

ADAPTERS, MIDDLE = 8, 16
LOAD = Load("maf2", hours=6, adapters=ADAPTERS, rps=4.0, requests=400, ranked=True)
P90 = "p90_s_per_token"
RATIOS = (1.02, 1.1, 1.2, 1.35, 1.5, 1.8, 2.2)
MERGED_S = 0.015


def by_stride(platform: Platform, stride: float, options: Options) -> pl.DataFrame:
    """400 requests at 4 a second for 8 adapters; six hours of 2021, the most called functions first."""
    return workload(replace(LOAD, stride=int(stride)), options)


def by_ratio(platform: Platform, ratio: float, options: Options) -> pl.DataFrame:
    """The same, at a stride of 16."""
    return by_stride(platform, MIDDLE, options)


def kernel(ratio: float) -> Mapping[str, Mapping[str, Any]]:
    """A step without a merged adapter takes ``ratio`` times a merged one; the scheduler knows."""
    return {"adapters": {"kernel_s": (ratio - 1) * MERGED_S}}


SETTINGS = setting(LLAMA_7B, adapters={"slots": ADAPTERS})


def _by_stride(letter: str, metric: str, label: str, *claims: str) -> Figure:
    return figure(
        f"fig10{letter}",
        f"{label} over the skew of popularity, one GPU, 8 adapters",
        LLAMA_7B,
        by_stride,
        settings=SETTINGS,
        systems=(UNMERGED, MERGED, DLORA, MULTI_LORA),
        sweep=Sweep("stride", {LLAMA_7B.name: STRIDES}),
        measure=over_axis,
        draw=Curves(
            f"fig10{letter}", Axis(metric, f"{label} (s/token)", (0, None)), Axis("stride", "Stride"), labels=TITLES,
            published=partial(published, "fig10"),
        ).draw,
        claims=skew_claims(f"10{letter}", metric, *claims),
        deviation=lambda metrics: off(metrics, "fig10", "stride", metric),
        point_seconds=0.5,
        has_traces=True,
        points_of="dlora/fig10a",
    )


FIG10A = _by_stride("a", MEAN, "Mean latency", "2.28, 1.53, 1.12, 1.06", "1.25, 1.34, 1.35, 1.43",
                    "0.58, 0.68, 0.72, 0.60: 1.6 to 2.2x")
FIG10B = _by_stride("b", P90, "P90 latency", "6.28, 4.61, 3.10, 2.78", "3.02, 3.24, 3.32, 3.45",
                    "1.20, 1.61, 1.63, 1.40: 1.9 to 2.5x")
KERNEL = figure(
    "kernel",
    "Mean latency over the time of a step that is not merged, one GPU, 8 adapters, stride 16",
    LLAMA_7B,
    by_ratio,
    calibrations=(CONSTANTS,),
    settings=SETTINGS,
    systems=(UNMERGED, MERGED, DLORA, MULTI_LORA),
    sweep=Sweep("ratio", {LLAMA_7B.name: RATIOS}, quick=(1.02, 1.8)),
    policies=kernel,
    measure=over_axis,
    draw=Curves(
        "kernel", Axis(MEAN, "Mean latency (s/token)", (0, None)),
        Axis("ratio", "Step with adapters beside the base model, by a merged step"), labels=TITLES,
    ).draw,
    point_seconds=0.5,
    has_traces=True,
)
