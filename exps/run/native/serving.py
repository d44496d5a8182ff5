"""One native run: a timetable and a setup in, records out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.simulated.profiles import Deployment
from engine.request import Request
from engine.sampling import Sampling
from exps.run.native.executors import executor_on
from exps.run.native.models import Prompts, load, load_prompts
from exps.run.serving import Outcome, Setup, serve
from exps.run.simulation import requests_of

WARM_UP = 6
TO_THE_END = Sampling(ignore_stop=True)


def serve_natively(timetable: pl.DataFrame, setup: Setup) -> Outcome:
    """Serve ``timetable`` with the real models. Answers have the timetable's lengths, whatever the models say.

    The clock starts after a warm-up with the first requests, whose tokens and KV are forgotten.
    """
    deployment, prompts = setup.deployment(), load_prompts(setup.model, setup.weights, setup.device)
    executor = make_executor(setup, deployment)
    first = timetable.head(WARM_UP).with_columns(pl.lit(0.0).alias("arrival_s"), pl.lit(12, pl.Int64).alias("output_tokens"))
    serve(first, replace(setup, until_s=None, record_steps=False), deployment, lambda: executor, with_prompts(first, prompts))
    executor.clock.reset()
    outcome = serve(timetable, setup, deployment, lambda: executor, with_prompts(timetable, prompts))
    executor.check()
    return outcome


def make_executor(setup: Setup, deployment: Deployment) -> NativeExecutor:
    """An executor for the setup's system; the draft is left out where nobody speculates."""
    pair = load(setup.model, setup.weights, setup.device)
    policies = setup.system.build(setup.parameters(deployment))
    kv_tokens = deployment.kv_tokens if setup.kv_tokens is None else setup.kv_tokens
    capacity = Capacity.of(kv_tokens, policies, setup.device.gpus > 0 and setup.execution.overlap)
    executor = executor_on(setup.device, setup.execution, pair, policies.speculation is not None, capacity)
    executor.warm_up(capacity.max_sequences)
    return executor


def with_prompts(timetable: pl.DataFrame, prompts: Prompts) -> Iterator[Request]:
    """The rows of a timetable as requests with prompts; a row that names no text takes them in turn."""
    named = timetable["prompt"].to_list()
    for request, number in zip(requests_of(timetable), named, strict=True):
        text = request.id % len(prompts.ids) if number is None else number
        request.prompt_ids, request.sampling = prompts.take(text, request.prompt_tokens), TO_THE_END
        yield request
