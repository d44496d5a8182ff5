"""One native run: a timetable and a setup in, records out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from engine.errors import RunError
from engine.executors.base import Executor
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.simulated.profiles import Deployment
from engine.request import Request
from engine.sampling import Sampling
from exps.run.native.executors import executor_on
from exps.run.native.faults import Faults
from exps.run.native.models import Loaded, Prompts, load, load_prompts, unloaded_by_errors
from exps.run.serving import Outcome, Setup, nothing_served, serve
from exps.run.simulation import requests_of
from exps.run.watching import Stopwatch

WARM_UP = 6
TO_THE_END = Sampling(ignore_stop=True)


def serve_natively(
    timetable: pl.DataFrame, setup: Setup, watched: Callable[[Executor], Executor] = lambda executor: executor
) -> Outcome:
    """Serve ``timetable`` with the real models. Answers have the timetable's lengths, whatever the models say.

    The clock starts after a warm-up with the first requests, whose tokens and KV are forgotten. ``watched`` may put the
    executor into another that watches it. RunError, with the records so far, when a policy raises, or the device or a rank
    fails.
    """
    deployment, prompts = setup.deployment(), load_prompts(setup.model, setup.weights)
    first = timetable.head(WARM_UP).with_columns(pl.lit(0.0).alias("arrival_s"), pl.lit(12, pl.Int64).alias("output_tokens"))
    with unloaded_by_errors():
        try:
            loaded = load(setup.model, setup.weights, setup.device)
            executor, faults = make_executor(setup, deployment, loaded)
            briefly = replace(setup, until_s=None, record_steps=False)
            serve(first, briefly, deployment, lambda: executor, with_prompts(first, prompts), faults.explain)
        except RunError as error:
            error.outcome = nothing_served(timetable, setup, deployment)
            raise
        executor.clock.reset()
        try:
            watch = Stopwatch(executor) if setup.timed_parts else None
            requests = with_prompts(timetable, prompts)
            outcome = serve(timetable, setup, deployment, lambda: watched(watch or executor), requests, faults.explain)
        except RunError as error:
            error.outcome = _with_facts(error.outcome, loaded.facts)
            raise
        executor.check()
        return _with_facts(outcome, {**loaded.facts, **(watch.facts if watch else {})})


def make_executor(setup: Setup, deployment: Deployment, loaded: Loaded) -> tuple[NativeExecutor, Faults]:
    """An executor for the setup's system, and how to tell of what fails on it; the draft is left out where nobody
    speculates."""
    policies = setup.system.build(setup.parameters(deployment))
    kv_tokens = deployment.kv_tokens if setup.kv_tokens is None else setup.kv_tokens
    capacity = Capacity.of(kv_tokens, policies, setup.device.gpus > 0 and setup.execution.overlap)
    drafts = policies.speculation is not None
    faults = Faults(setup.model, setup.device, loaded, drafts, capacity)
    with faults.told():
        executor = executor_on(setup.device, setup.execution, loaded, drafts, capacity)
        executor.warm_up(capacity.max_sequences)
    return executor, faults


def _with_facts(outcome: Outcome, more: dict[str, Any]) -> Outcome:
    return replace(outcome, facts={**outcome.facts, **more})


def with_prompts(timetable: pl.DataFrame, prompts: Prompts) -> Iterator[Request]:
    """The rows of a timetable as requests with prompts; a row that names no text takes them in turn."""
    named = timetable["prompt"].to_list()
    for request, number in zip(requests_of(timetable), named, strict=True):
        text = request.id % len(prompts.ids) if number is None else number
        request.prompt_ids, request.sampling = prompts.take(text, request.prompt_tokens), TO_THE_END
        yield request
