"""The workloads of AdaServe's figures, for the paper's machines and for the one at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from exps.figures.figure import Options, Platform

if TYPE_CHECKING:
    from exps.workload.adaserve_loads import Load

QUICK_S, TRACE_S = 60.0, 360.0
CPU_S, GPU_S, LOCAL_QUICK_S = 30.0, 60.0, 4.0
LOADS, QUICK_LOADS, MIDDLE = (0.2, 0.4, 0.6), (0.2, 0.6), 0.4
SATURATING, SETTLED = 150, 0.1
Timetable = Callable[[Platform, float, Options], pl.DataFrame]


def timetable_of(load_of: str, swept: bool = True, rate: bool = False) -> Timetable:
    """The workload of each x, with the SLOs of the platform's baseline latency; ``load_of`` is a function of
    exps.workload.adaserve_loads, of x unless the load is not ``swept``.

    On the machine at hand x is the ``rate``, or the rate is a middle one.
    """

    def timetable(platform: Platform, x: float, options: Options) -> pl.DataFrame:
        from engine.executors.simulated.profiles import load_deployment
        from exps.workload import adaserve_loads as loads
        from exps.workload.adaserve import evaluation_timetable

        cap = {} if options.output_tokens is None else {"cap": options.output_tokens}
        load = getattr(loads, load_of)(*([x] if swept else []), **cap)
        if platform.local:
            return _local(platform, x if rate else middle_rate(platform, options), local_s(platform, options), options, load)
        baseline_s = load_deployment(platform.model, platform.hardware).baseline_tpot_s
        duration_s = QUICK_S if options.quick else TRACE_S
        return evaluation_timetable(load, baseline_s, options.seed, options.traces, duration_s)

    return timetable


def local_s(platform: Platform, options: Options) -> float:
    """How long requests arrive on the machine at hand."""
    whole_s = GPU_S if platform.device and platform.device.gpus else CPU_S
    return LOCAL_QUICK_S if options.quick else whole_s


def local_rates(platform: Platform, options: Options) -> tuple[float, ...]:
    """Shares of the rate at which plain continuous batching is saturated on this machine."""
    from exps.run.local import three_digits

    most = saturation(platform, options)
    return tuple(three_digits(load * most) for load in (QUICK_LOADS if options.quick else LOADS))


def middle_rate(platform: Platform, options: Options) -> float:
    """The rate of figures that sweep something else."""
    from exps.run.local import three_digits

    return three_digits(MIDDLE * saturation(platform, options))


def saturation(platform: Platform, options: Options) -> float:
    """Requests a second that plain continuous batching serves when so many are all there that twice as many change the rate
    by less than ``SETTLED``."""
    from exps.run.local import capacity_rps

    def served(requests: int) -> float:
        return capacity_rps(_local(platform, requests, 1.0, options), "vllm", platform, options, None)

    requests, most, before = SATURATING, served(SATURATING), 0.0
    while platform.device and platform.device.gpus and most > (1 + SETTLED) * before:
        requests, most, before = 2 * requests, served(2 * requests), most
    return most


def _local(platform: Platform, rps: float, duration_s: float, options: Options, load: Load | None = None) -> pl.DataFrame:
    from exps.run.local import measured
    from exps.run.native.models import load_prompts, outline_of
    from exps.workload.adaserve import local_timetable

    baseline_s = measured(platform, options).baseline_tpot_s
    context = outline_of(platform.model, options.weights).config.context
    texts = load_prompts(platform.model, options.weights).lengths()
    return local_timetable(rps, duration_s, baseline_s, options.seed, texts, context, load)
