"""A recorded run of FairServe's artifact, served again by the simulator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from engine.executors.simulated.profiles import Deployment, load_deployment
from engine.system import parse_system
from exps.papers.fairserve.recordings import FairServeRun
from exps.papers.fairserve.server import CALIBRATION, HARDWARE, MODEL, POOL_TOKENS, READS_PER_WAIT
from exps.run.serving import Setup
from exps.run.simulation import simulate


def replay(
    run: FairServeRun,
    deployment: Deployment | None = None,
    reads_per_wait: float | None = READS_PER_WAIT,
    cold_start_factor: float = 1.0,
    system: str | None = None,
) -> FairServeRun:
    """The run with the outcomes of the simulator in place of the recorded ones.

    ``reads_per_wait`` None lets the scheduler see every request as it is sent. The cold start of a fresh server is an input,
    read from the run's first latency. ``system`` replaces the one that was recorded.
    """
    policies: dict[str, dict[str, Any]] = {"slora": {} if reads_per_wait is None else {"reads_per_wait": reads_per_wait}}
    if run.limit is not None:
        policies |= {name: {"limit": run.limit} for name in ("rpm", "fairserve")}
    setup = Setup(parse_system(system or run.system), MODEL, HARDWARE, CALIBRATION, kv_tokens=POOL_TOKENS, policies=policies)
    deployment = deployment or load_deployment(MODEL, HARDWARE)
    sent = run.timetable()
    alone = simulate(sent.head(1), setup, deployment).requests
    ttft_s = (pl.col("first_token_s") - pl.col("arrival_s")).fill_null(0.0)
    recorded_s, warm_s = (frame.head(1).select(ttft_s).item() for frame in (run.requests, alone))
    cold_start_s = cold_start_factor * max(0.0, recorded_s - warm_s)
    return run.served_as(simulate(sent, replace(setup, cold_start_s=cold_start_s), deployment).requests)
