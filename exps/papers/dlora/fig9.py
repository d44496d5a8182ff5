"""dLoRA, Figure 9: latency over the request rate, on 32 GPUs; three models and two traces of popularity."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import polars as pl

from exps.figures.claims import Claim
from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Curves
from exps.papers.dlora.claims import FIG9A_CLAIMS, MEAN, SLO_S
from exps.papers.dlora.measures import off, over_axis, published
from exps.papers.dlora.setup import (
    COPIES,
    DLORA,
    LLAMA_7B,
    LLAMA_13B,
    LLAMA_70B,
    MULTI_LORA,
    PEFT,
    TITLES,
    figure,
    setting,
    workload,
)
from exps.workload.dlora import Load
from plots.axes import Axis, Bound

Rates = tuple[float, ...]
SECONDS, HOURS = 100, 2
REPLICAS = {LLAMA_7B: (32, 128), LLAMA_13B: (32, 128), LLAMA_70B: (8, 32)}
"""Replicas and adapters."""
MANY: Rates = tuple(float(rate) for rate in range(8, 81, 8))
SOME = MANY[1::2]
LARGE: Rates = (2, 4, 6, 8, 10, 12, 16)
SLOW: Rates = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
FEWEST = 20
PANELS: Mapping[str, tuple[Platform, str, Mapping[str, Rates]]] = {
    "a": (LLAMA_7B, "maf1", {DLORA: MANY, MULTI_LORA: SOME, PEFT: (1, 2, 4, 6, 8), COPIES: (2, 4, 6, 8, 10, 12)}),
    "b": (
        LLAMA_13B, "maf1", {DLORA: MANY, MULTI_LORA: SOME, PEFT: (0.5, 1, 2, 4, 6, 8), COPIES: (0.25, 0.5, 1, 1.5, 2, 3, 4)}
    ),
    "c": (LLAMA_70B, "maf1", {DLORA: LARGE, MULTI_LORA: LARGE, PEFT: SLOW, COPIES: SLOW}),
    "d": (
        LLAMA_7B, "maf2", {DLORA: MANY, MULTI_LORA: SOME, PEFT: (2, 4, 6, 8, 10, 12, 16, 20), COPIES: (1, 2, 4, 6, 8, 10)}
    ),
    "e": (
        LLAMA_13B, "maf2", {DLORA: MANY, MULTI_LORA: SOME, PEFT: (1, 2, 4, 6, 8, 10, 12), COPIES: (0.25, 0.5, 1, 1.5, 2, 3)}
    ),
    "f": (LLAMA_70B, "maf2", {DLORA: LARGE, MULTI_LORA: LARGE, PEFT: SLOW, COPIES: SLOW}),
}


def timetable(trace: str, platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """100 seconds of requests, at least ``FEWEST``, with the shares of the trace's first two hours."""
    adapters = REPLICAS[_plain(platform)][1]
    return workload(Load(trace, HOURS, adapters, rps, max(round(SECONDS * rps), FEWEST)), options)


def _plain(platform: Platform) -> Platform:
    return next(known for known in REPLICAS if known.name == platform.name)


def _panel(letter: str, claims: tuple[Claim, ...] = ()) -> Figure:
    platform, trace, rates = PANELS[letter]
    replicas, adapters = REPLICAS[platform]
    filled = letter == "a"
    return figure(
        f"fig9{letter}",
        f"Latency over the request rate: {platform.title}, {replicas} replicas, {adapters} adapters, {trace.upper()}",
        platform,
        partial(timetable, trace),
        settings=setting(platform, replicas),
        systems=tuple(rates),
        sweep=Sweep("rps", {platform.name: tuple(sorted({float(rate) for own in rates.values() for rate in own}))}),
        has_point=lambda system, x: x in rates[system],
        measure=over_axis,
        draw=Curves(
            f"fig9{letter}", Axis(MEAN, "Mean latency (s/token)", (0, 1)), Axis("rps", "Requests per second", (0, None)),
            labels=TITLES, bounds=lambda _: (Bound(SLO_S, "SLO"),),
            published=lambda _: published("fig9a") if filled else None,
        ).draw,
        claims=claims,
        deviation=(lambda metrics: off(metrics, "fig9a", "rps", MEAN)) if filled else None,
        point_seconds=3.0,
        point_bytes=200_000,
        has_traces=True,
    )


FIG9 = tuple(_panel(letter, FIG9A_CLAIMS if letter == "a" else ()) for letter in PANELS)
