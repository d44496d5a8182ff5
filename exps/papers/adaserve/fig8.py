"""AdaServe, Figure 8: SLO attainment over the request rate."""

from __future__ import annotations

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Setting, Sweep
from exps.figures.pictures import Curves, Draw
from exps.metrics.sweep import sweep_table
from exps.papers.adaserve.claims import CLAIMS
from exps.papers.adaserve.evaluation import CALIBRATIONS, PLATFORMS, RATES, SYSTEMS
from exps.run.local import PAIRS
from plots.axes import Axis, Panels

QUICK_S, TRACE_S = 60.0, 360.0
CPU_S, GPU_S, LOCAL_QUICK_S = 30.0, 60.0, 4.0
LOADS, QUICK_LOADS = (0.2, 0.4, 0.6), (0.2, 0.6)
SATURATING, SETTLED = 150, 0.1


def timetable(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """The workload of one rate, with the SLOs of this platform's baseline latency."""
    if platform.local:
        whole_s = GPU_S if platform.device and platform.device.gpus else CPU_S
        return _local(platform, rps, LOCAL_QUICK_S if options.quick else whole_s, options)
    from engine.executors.simulated.profiles import load_deployment
    from exps.workload.adaserve import fig8_timetable

    baseline_s = load_deployment(platform.model, platform.hardware).baseline_tpot_s
    duration_s = QUICK_S if options.quick else TRACE_S
    return fig8_timetable(rps, baseline_s, options.seed, options.traces, duration_s=duration_s)


def _local(platform: Platform, rps: float, duration_s: float, options: Options) -> pl.DataFrame:
    from exps.run.local import measured
    from exps.run.native.models import load_prompts, outline_of
    from exps.workload.adaserve import local_timetable

    baseline_s = measured(platform, options).baseline_tpot_s
    context = outline_of(platform.model, options.weights).config.context
    texts = load_prompts(platform.model, options.weights).lengths()
    return local_timetable(rps, duration_s, baseline_s, options.seed, texts, context)


def local_rates(platform: Platform, options: Options) -> tuple[float, ...]:
    """Shares of the rate at which plain continuous batching is saturated on this machine: so many requests are all there
    that twice as many change the rate by less than ``SETTLED``."""
    from exps.run.local import capacity_rps, three_digits

    def served(requests: int) -> float:
        return capacity_rps(_local(platform, requests, 1.0, options), "vllm", platform, options, None)

    requests, most, before = SATURATING, served(SATURATING), 0.0
    while platform.device and platform.device.gpus and most > (1 + SETTLED) * before:
        requests, most, before = 2 * requests, served(2 * requests), most
    return tuple(three_digits(load * most) for load in (QUICK_LOADS if options.quick else LOADS))


def over_rates(figure: str, y: Axis, published: str) -> Draw:
    """A metric over the rate, a panel a model, beside the published column of that name."""

    def theirs(metrics: pl.DataFrame) -> pl.DataFrame | None:
        from exps.figures.published import read_published

        found = read_published("adaserve", figure).rename({published: y.column})
        return found if set(found["model"]) & set(metrics["model"]) else None

    titles = {platform.name: platform.title for platform in (*PLATFORMS, *PAIRS)}
    return Curves(figure, y, Axis("rps", "Requests per second"), panels=Panels("model", titles), published=theirs).draw


def distance(metrics: pl.DataFrame) -> pl.DataFrame:
    """Points of attainment between ours and Figure 8's."""
    from exps.figures.deviation import deviation
    from exps.figures.published import read_published

    published = read_published("adaserve", "fig8").rename({"slo_attainment_pct": "attainment_pct"})
    return deviation(metrics, published, "rps", "attainment_pct")


FIG8 = Figure(
    id="adaserve/fig8",
    title="SLO attainment over the request rate",
    platforms=(*PLATFORMS, *PAIRS),
    settings=(Setting(),),
    systems=SYSTEMS,
    sweep=Sweep("rps", RATES),
    calibrations=CALIBRATIONS,
    timetable=timetable,
    measure=sweep_table,
    draw=over_rates("fig8", Axis("attainment_pct", "SLO attainment (%)", (0, 100)), "slo_attainment_pct"),
    claims=CLAIMS,
    deviation=distance,
    point_seconds=0.8,
    point_bytes=120_000,
    has_traces=True,
    local_values=local_rates,
)
