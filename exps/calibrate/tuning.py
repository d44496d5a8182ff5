"""AdaServe's budget, depth and width on this machine: what serves best in simulation, on a workload of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from engine.configuration import merge_policies
from exps.figures.figure import Options, Platform, Point
from exps.metrics.requests import summarize
from exps.papers.adaserve.fig8 import FIG8
from exps.run.local import measured
from exps.run.plan import setup_of
from exps.run.simulation import simulate

SEED = 1_000_003
CPU_BUDGETS, QUICK_CPU_BUDGETS = (8, 12, 16, 24, 32, 48, 64, 96), (16, 32, 64)
GPU_BUDGETS, QUICK_GPU_BUDGETS = (48, 64, 96, 128, 192, 256, 384), (64, 128, 256)
DEPTHS = ((3, 5), (4, 8))


def tuned(platform: Platform, options: Options, policy: Mapping[str, Any]) -> dict[str, Any]:
    """``policy`` with the budget B = B1 = B2 and the depths, one of the paper's two, that attain most.

    The workload is Figure 8's at its highest rate on this machine, drawn from another seed than any figure's. Of equals
    the one with the greater goodput is taken.
    """
    asked = replace(options, seed=SEED, quick=False)
    rate = FIG8.values(platform, asked)[-1]
    timetable = FIG8.timetable(platform, rate, asked)
    deployment = measured(platform, options)
    setup = setup_of(Point(FIG8, platform, "adaserve", rate), replace(asked, backend="sim"))

    def score(candidate: dict[str, Any]) -> tuple[float, float]:
        tried = replace(deployment, policies=merge_policies(deployment.policies, {"adaserve": candidate}))
        summary = summarize(simulate(timetable, setup, tried).requests)
        return round(summary["attainment_pct"], 1), summary["goodput_tokens_per_s"]

    on_gpus = platform.device is not None and platform.device.gpus > 0
    every, few = (GPU_BUDGETS, QUICK_GPU_BUDGETS) if on_gpus else (CPU_BUDGETS, QUICK_CPU_BUDGETS)
    grid = product(few if options.quick else every, DEPTHS)
    candidates = [
        {**policy, "budget": budget, "depth_budget": budget, "width_budget": budget, "depth": list(depth)}
        for budget, depth in grid
    ]
    return max(candidates, key=score)
