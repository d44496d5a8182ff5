"""AdaServe, Figure 8: SLO attainment over the request rate."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.adaserve.claims import CLAIMS
from exps.adaserve.evaluation import CALIBRATIONS, PLATFORMS, RATES, SYSTEMS
from exps.figure import Figure, Options, Platform, Setting, Sweep
from exps.local import LOCAL
from exps.metrics.sweep import sweep_table
from plots.axes import Axis, Panels

QUICK_S, TRACE_S = 60.0, 360.0
LOCAL_S, LOCAL_QUICK_S = 30.0, 4.0
LOADS, QUICK_LOADS = (0.2, 0.4, 0.6), (0.2, 0.6)
SATURATING = 150


def timetable(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """The workload of one rate, with the SLOs of this platform's baseline latency."""
    if platform.local:
        return _local(platform, rps, LOCAL_QUICK_S if options.quick else LOCAL_S, options)
    from engine.executors.simulated.profiles import load_deployment
    from exps.workload.adaserve import fig8_timetable

    baseline_s = load_deployment(platform.model, platform.hardware).baseline_tpot_s
    duration_s = QUICK_S if options.quick else TRACE_S
    return fig8_timetable(rps, baseline_s, options.seed, options.traces, duration_s=duration_s)


def _local(platform: Platform, rps: float, duration_s: float, options: Options) -> pl.DataFrame:
    from exps.local import measured
    from exps.native.models import load, load_prompts
    from exps.workload.adaserve import local_timetable

    baseline_s = measured(platform, options).baseline_tpot_s
    context = load(platform.model, options.weights).target.config.context
    texts = load_prompts(platform.model, options.weights).lengths()
    return local_timetable(rps, duration_s, baseline_s, options.seed, texts, context)


def local_rates(platform: Platform, options: Options) -> tuple[float, ...]:
    """Shares of the rate at which plain continuous batching is saturated on this machine."""
    from exps.local import capacity_rps, three_digits

    saturating = _local(platform, SATURATING, 1.0, options)
    most = capacity_rps(saturating, "vllm", platform, options, None)
    return tuple(three_digits(load * most) for load in (QUICK_LOADS if options.quick else LOADS))


def draw_rates(
    metrics: pl.DataFrame,
    caption: str,
    path: Path,
    figure: str,
    columns: tuple[str, str],
    label: str,
    top: float | None,
) -> list[Path]:
    """One metric over the rate, a panel a model. ``columns``: the metric's name in ours and in the published values."""
    from exps.published import read_published
    from plots.curves import sweep_curves

    ours, theirs = columns
    published = read_published("adaserve", figure).rename({theirs: ours})
    shown = published.filter(pl.col("model").is_in(metrics["model"].unique().to_list()))
    paths = sweep_curves(
        metrics,
        None if shown.is_empty() else published,
        x=Axis("rps", "Requests per second"),
        y=Axis(ours, label, limits=(0, top)),
        path=path,
        panels=Panels("model", {platform.name: platform.title for platform in (*PLATFORMS, *LOCAL)}),
        footer=caption,
    )
    return list(paths)


def draw(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    columns = ("attainment_pct", "slo_attainment_pct")
    return draw_rates(metrics, caption, folder / f"fig8-{suffix}", "fig8", columns, "SLO attainment (%)", 100)


def distance(metrics: pl.DataFrame) -> pl.DataFrame:
    """Points of attainment between ours and Figure 8's."""
    from exps.deviation import deviation
    from exps.published import read_published

    published = read_published("adaserve", "fig8").rename({"slo_attainment_pct": "attainment_pct"})
    return deviation(metrics, published, "rps", "attainment_pct")


FIG8 = Figure(
    id="adaserve/fig8",
    title="SLO attainment over the request rate",
    platforms=(*PLATFORMS, *LOCAL),
    settings=(Setting(),),
    systems=SYSTEMS,
    sweep=Sweep("rps", RATES),
    calibrations=CALIBRATIONS,
    timetable=timetable,
    measure=sweep_table,
    draw=draw,
    claims=CLAIMS,
    deviation=distance,
    point_seconds=0.8,
    point_bytes=120_000,
    has_traces=True,
    local_values=local_rates,
)
