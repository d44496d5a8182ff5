"""dLoRA on eight GPUs: Figure 2b, queueing by replica; 11a and 13, placement over the rate; 11b, over lengths; 12, over the
number of adapters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Bars, Curves
from exps.papers.dlora.claims import (
    BUSY_CLAIMS,
    FIG2B_CLAIMS,
    FIG11A_CLAIMS,
    FIG11B_CLAIMS,
    FIG12_CLAIMS,
    FIG13_CLAIMS,
    MEAN,
)
from exps.papers.dlora.measures import by_replica, off, over_axis, published
from exps.papers.dlora.setup import (
    COPIES,
    COPIES_GROUPED,
    DLORA,
    LEAST_COST,
    LLAMA_7B,
    MULTI_LORA,
    PEFT,
    PEFT_GROUPED,
    PROACTIVE,
    TITLES,
    figure,
    setting,
    workload,
)
from exps.workload.dlora import Load
from plots.axes import Axis

REPLICAS, ADAPTERS, HOURS = 8, 32, 6
REQUESTS = {3: 400, 4: 500, 5: 600, 6: 700, 7: 800, 8: 1000, 12: 1600, 16: 2100, 20: 2700, 24: 3200, 28: 3800, 32: 4300,
            36: 4800}
FEW, MIDDLE, MANY = (3, 4, 5, 6, 7, 8, 12), (6, 8, 12, 16, 20, 24, 28, 32), (6, 8, 12, 16, 20, 24, 28, 32, 36)
RATES = {LEAST_COST: FEW, PROACTIVE: MIDDLE, DLORA: MANY}
DELAY, RATE = "queueing_s_per_token", "requests_per_s"
SETTINGS = setting(LLAMA_7B, REPLICAS)
OVERHEAD = {"adjust_pct": "switching and copying", "solver_pct": "solving"}


def by_rate(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """Six hours of 2021, the most called functions first, which go to the adapters in turn."""
    return workload(Load("maf2", HOURS, ADAPTERS, rps, REQUESTS[int(rps)], ranked=True), options)


def fixed(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """600 requests at 3 a second; six hours of 2021, functions in the order of the trace."""
    return workload(Load("maf2", HOURS, ADAPTERS, rps, 600), options)


def by_ratio(rps: float, platform: Platform, ratio: float, options: Options) -> pl.DataFrame:
    """1,000 requests whose lengths are ``ratio`` times ShareGPT's, 4,096 tokens at most."""
    return workload(Load("maf2", HOURS, ADAPTERS, rps, 1000, ratio=ratio, longest=4096), options)


def by_adapters(platform: Platform, adapters: float, options: Options) -> pl.DataFrame:
    """3,200 requests at 24 a second for so many adapters."""
    return workload(Load("maf2", HOURS, int(adapters), 24.0, 3200), options)


def grouped(axis: str, metrics: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Rows of bars: one panel, a group a value of the axis."""
    rows = metrics.sort(axis, maintain_order=True).with_columns(group=pl.col(axis).cast(pl.Int64).cast(pl.String))
    return rows.select("group", panel=pl.lit(metric), series="system", value=metric)


def bars(name: str, axis: str, metric: str, label: str, x: str, published_as: str | None) -> Bars:
    """Bars of a metric by a value of the axis and system, beside those that were published."""
    if published_as is None:
        return Bars(name, {metric: label}, x, TITLES, partial(_rows, axis, metric))
    theirs = partial(_theirs, published_as, axis, metric)
    return Bars(name, {metric: label}, x, TITLES, partial(_rows, axis, metric), published=theirs, symlog=metric == MEAN)


def _rows(axis: str, metric: str, metrics: pl.DataFrame) -> pl.DataFrame:
    return grouped(axis, metrics, metric)


def _theirs(name: str, axis: str, metric: str, metrics: pl.DataFrame) -> pl.DataFrame:
    return grouped(axis, published(name), metric)


def overhead(metrics: pl.DataFrame) -> pl.DataFrame:
    """Rows of bars: switching and solving in per cent of the run, by rate."""
    parts = metrics.with_columns(
        adjust_pct=100 * pl.col("adjust_s") / pl.col("total_s"), solver_pct=100 * pl.col("solver_s") / pl.col("total_s")
    ).sort("rps", maintain_order=True)
    found = parts.unpivot(on=list(OVERHEAD), index="rps", variable_name="series")
    return found.select("series", "value", panel=pl.lit("overhead"), group=pl.col("rps").cast(pl.Int64).cast(pl.String))


FIG2B = figure(
    "fig2b",
    "Queueing by replica where each model has a fixed one, 8 replicas, 32 models",
    LLAMA_7B,
    fixed,
    settings=SETTINGS,
    systems=(COPIES,),
    sweep=Sweep("rps", {LLAMA_7B.name: (3.0,)}),
    measure=by_replica,
    draw=bars("fig2b", "replica", "queueing_share_pct", "Share of latency (%)", "Replica", "fig2b").draw,
    claims=FIG2B_CLAIMS,
    point_seconds=4.0,
    has_traces=True,
)
FIG11A = figure(
    "fig11a",
    "Queueing delay over the request rate, 8 replicas, 32 adapters",
    LLAMA_7B,
    by_rate,
    settings=SETTINGS,
    systems=(LEAST_COST, PROACTIVE, DLORA),
    sweep=Sweep("rps", {LLAMA_7B.name: tuple(float(rate) for rate in sorted({*FEW, *MIDDLE, *MANY}))}, quick=(6.0, 12.0)),
    has_point=lambda system, x: x in RATES[system],
    measure=over_axis,
    draw=Curves(
        "fig11a", Axis(DELAY, "Queueing delay (s/token)", (0, None)), Axis("rps", "Requests per second"), labels=TITLES,
        published=partial(published, "fig11a"),
    ).draw,
    claims=FIG11A_CLAIMS,
    deviation=lambda metrics: off(metrics, "fig11a", "rps", DELAY),
    point_seconds=3.0,
    has_traces=True,
)
FIG13 = figure(
    "fig13",
    "Solving and switching in per cent of dLoRA's run, 8 replicas, 32 adapters",
    LLAMA_7B,
    by_rate,
    settings=SETTINGS,
    systems=(DLORA,),
    sweep=Sweep("rps", {LLAMA_7B.name: tuple(float(rate) for rate in MANY[1:-1])}, quick=(12.0,)),
    measure=over_axis,
    draw=Bars(
        "fig13", {"overhead": "Share of the run (%)"}, "Requests per second", OVERHEAD, overhead,
        published=lambda _: overhead(published("fig13")),
    ).draw,
    claims=FIG13_CLAIMS,
    point_seconds=3.0,
    has_traces=True,
    points_of="dlora/fig11a",
)
FIG11B = figure(
    "fig11b",
    "Latency over the lengths of requests, 8 replicas, 32 adapters",
    LLAMA_7B,
    partial(by_ratio, 8.0),
    settings=SETTINGS,
    systems=(LEAST_COST, PROACTIVE, DLORA),
    sweep=Sweep("ratio", {LLAMA_7B.name: (1.0, 2.0, 4.0, 6.0, 8.0)}),
    measure=over_axis,
    draw=bars("fig11b", "ratio", MEAN, "Mean latency (s/token)", "Lengths, times ShareGPT's", "fig11b").draw,
    claims=FIG11B_CLAIMS,
    deviation=lambda metrics: off(metrics, "fig11b", "ratio", MEAN),
    point_seconds=4.0,
    has_traces=True,
)
BUSY = replace(
    FIG11B,
    id="dlora/fig11b-busy",
    title="Latency over the lengths of requests at 24 requests/s, 8 replicas, 32 adapters",
    timetable=partial(by_ratio, 24.0),
    draw=bars("fig11b-busy", "ratio", MEAN, "Mean latency (s/token)", "Lengths, times ShareGPT's", None).draw,
    claims=BUSY_CLAIMS,
    deviation=None,
)
FIG12 = figure(
    "fig12",
    "Throughput over the number of adapters, 8 replicas",
    LLAMA_7B,
    by_adapters,
    settings=SETTINGS,
    systems=(DLORA, PEFT, COPIES, MULTI_LORA, PEFT_GROUPED, COPIES_GROUPED),
    sweep=Sweep("adapters", {LLAMA_7B.name: (16.0, 32.0, 64.0, 128.0)}),
    measure=over_axis,
    draw=bars("fig12", "adapters", RATE, "Requests per second", "Adapters", "fig12").draw,
    claims=FIG12_CLAIMS,
    deviation=lambda metrics: off(metrics, "fig12", "adapters", RATE),
    point_seconds=6.0,
    has_traces=True,
)
EIGHT_GPUS: tuple[Figure, ...] = (FIG2B, FIG11A, FIG11B, BUSY, FIG12, FIG13)
