"""A recorded run, served again by the simulator."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from engine.executors.simulated.profiles import Deployment, load_deployment
from engine.system import parse_system
from exps.recorded.recordings import Environment, Recording
from exps.run.serving import Setup
from exps.run.simulation import simulate


def replay(
    run: Recording,
    place: Environment,
    deployment: Deployment | None = None,
    seed: int = 0,
    timetable: pl.DataFrame | None = None,
    cold_start_factor: float = 1.0,
) -> Recording:
    """The run with the latencies of the simulator in place of the recorded ones.

    The first request of a fresh server waits for its cold start. How long is an input, read from the run's first
    latency: what it exceeds that of a warm replay, times ``cold_start_factor``.
    """
    if place.system is None:
        raise ValueError(f"{place.label} is not built")
    deployment = deployment or load_deployment(place.model, place.hardware)
    setup = Setup(parse_system(place.system), place.model, place.hardware, place.calibration, seed, kv_tokens=place.kv_tokens)
    timetable = run.timetable() if timetable is None else timetable
    warm = simulate(timetable.head(1), setup, deployment).requests
    first_latency = warm["first_token_s"][0] - warm["arrival_s"][0]
    cold_start_s = cold_start_factor * max(0.0, run.requests["first_token_latency_s"][0] - first_latency)
    served = simulate(timetable, replace(setup, cold_start_s=cold_start_s), deployment).requests
    latencies = served.select(
        first_token_latency_s=(pl.col("first_token_s") - pl.col("arrival_s")).fill_null(-1.0),
        request_latency_s=(pl.col("finished_s") - pl.col("arrival_s")).fill_null(-1.0),
    )
    return replace(run, requests=run.requests.with_columns(latencies))
