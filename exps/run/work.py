"""What a worker process does: serve one point and encode its files. Heavy imports wait until it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from engine.errors import RunError
from exps.run.serving import Setup


@dataclass(frozen=True)
class Product:
    """The encoded files of a point by name, its number of rows, the simulation's facts, and seconds of wall time.

    ``failure``: what stopped the run, when a policy raised or what serves failed; ``final``: no other point can be served.
    """

    files: Mapping[str, bytes]
    rows: int
    facts: Mapping[str, Any]
    wall_s: float
    failure: str | None = None
    final: bool = False


def produce(timetable: pl.DataFrame, setup: Setup) -> Product:
    """Serve and encode. ValueError when the records are not one row a submitted request."""
    from exps.metrics.requests import summarize
    from exps.run.backends import BACKENDS
    from exps.run.records import REQUESTS, STEPS, SUMMARY, TRACE, json_bytes, parquet_bytes

    begin, failure, final = time.perf_counter(), None, False
    try:
        outcome = BACKENDS[setup.backend].serve(timetable, setup)
    except RunError as error:
        outcome, failure, final = error.outcome, str(error), error.final
    if outcome.requests.height != timetable.height:
        raise ValueError(f"{setup.system.name}: {outcome.requests.height} records of {timetable.height} requests")
    if failure is None and outcome.steps is not None:
        check_totals(outcome.requests, outcome.steps, setup.system.name)
    summary = {**summarize(outcome.requests), **outcome.facts}
    files = {REQUESTS: parquet_bytes(outcome.requests), SUMMARY: json_bytes(summary)}
    for name, frame in ((STEPS, outcome.steps), (TRACE, outcome.trace)):
        if frame is not None:
            files[name] = parquet_bytes(frame)
    return Product(files, outcome.requests.height, outcome.facts, time.perf_counter() - begin, failure, final)


def check_totals(requests: pl.DataFrame, steps: pl.DataFrame, system: str) -> None:
    """ValueError unless every client's tokens are the same by requests and by steps."""
    for of_requests, of_steps in (("prompt_served", "prompt_tokens"), ("output_tokens", "output_tokens")):
        totals = [
            dict(frame.group_by("client").agg(pl.col(name).sum()).rows())
            for frame, name in ((requests, of_requests), (steps, of_steps))
        ]
        for client, tokens in totals[0].items():
            if tokens != totals[1].get(client, 0):
                told = f"{tokens} {of_steps} by requests and {totals[1].get(client, 0)} by steps"
                raise ValueError(f"{system}: client {client} has {told}")


def produce_numbered(index: int, timetable: pl.DataFrame, setup: Setup) -> tuple[int, Product]:
    """``produce`` in a worker process, with the index of the job that asked."""
    _end_with_parent()
    return index, produce(timetable, setup)


@cache
def _end_with_parent() -> None:
    """End this process soon after its parent was killed, which a pool's workers would outlive by minutes."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
