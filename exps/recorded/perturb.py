"""Small doubts: how much of a run hangs on half a decode step or one percent of cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from engine.executors.simulated.profiles import Deployment

ARRIVAL_JITTER_S = 0.02
STEP_JITTER = 0.01
COLD_START_JITTER = 0.05
MOST_COLD_START_S = 1.3
"""The longest that a first request of VTC's recorded runs waits beyond what a warm server takes (`cli.py validate`)."""


def perturbed_timetable(timetable: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Each arrival moved by up to ``ARRIVAL_JITTER_S`` either way; the order of the requests stays."""
    moved = timetable["arrival_s"].to_numpy() + rng.uniform(-ARRIVAL_JITTER_S, ARRIVAL_JITTER_S, timetable.height)
    return timetable.with_columns(arrival_s=pl.Series(np.maximum.accumulate(np.maximum(moved, 0.0))))


def perturbed_deployment(deployment: Deployment, rng: np.random.Generator) -> Deployment:
    """All decode steps longer or shorter by one factor within ``STEP_JITTER``."""
    factor = 1 + rng.uniform(-STEP_JITTER, STEP_JITTER)
    calibrations = {
        name: replace(calibration, step_factor=calibration.step_factor * factor)
        for name, calibration in deployment.calibrations.items()
    }
    return replace(deployment, calibrations=calibrations)


def perturbed_cold_start(rng: np.random.Generator) -> float:
    """A factor of the cold start within ``COLD_START_JITTER``: not all of it falls on a fresh server's first step."""
    return 1 + rng.uniform(-COLD_START_JITTER, COLD_START_JITTER)


def drawn_cold_start_s(rng: np.random.Generator) -> float:
    """Seconds by which the first step is late, where no run tells: nothing up to the longest recorded."""
    return float(rng.uniform(0.0, MOST_COLD_START_S))
