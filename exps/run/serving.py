"""One run: a timetable, a setup and an executor in, records out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import polars as pl

from engine.adapters.queue import BASE
from engine.blame import blame
from engine.configuration import merge_policies
from engine.core import Engine, Observer
from engine.errors import InputError, PolicyError, RunError
from engine.executors.base import Executor
from engine.executors.simulated.profiles import Deployment, load_deployment
from engine.fleet import Fleet
from engine.kv_cache import BlockPool
from engine.placement import Placement
from engine.request import Request
from engine.roles import Parameters, Policies
from engine.system import System
from exps.figures.figure import FASTEST, Execution
from exps.run.recorder import Recorder
from exps.run.tracing import TracingExecutor
from hosting.device import CPU, Device


@dataclass(frozen=True)
class Setup:
    """What runs on what.

    ``backend`` by its name (exps.run.backends). ``kv_tokens`` None means the deployment's pool; ``cold_start_s`` delays the
    first step of a simulation. ``acceptance`` "measured" puts the acceptance measured on the tiny pair in the place of the
    calibration's. ``profiles`` is a folder of profiles measured on this machine. What is unfinished at ``until_s`` stays so.
    ``trace_steps``: what speculation decides in each step is recorded too; ``timed_parts``: in a native run the seconds of
    drafting and verifying are facts.
    ``device`` and ``execution`` are those of a native run, and ``weights``: "own", or "widened" for the tiny pair's function
    in the model's full-size shape. ``policies`` are parameters by policy name for what the system does not choose itself;
    they go before the deployment's. ``step_by_step`` takes each step by itself, for the same records.
    """

    system: System
    model: str
    hardware: str
    calibration: str
    seed: int = 0
    kv_tokens: int | None = None
    record_steps: bool = False
    cold_start_s: float = 0.0
    backend: str = "sim"
    acceptance: str | None = None
    profiles: Path | None = None
    until_s: float | None = None
    weights: str = "own"
    device: Device = CPU
    execution: Execution = FASTEST
    trace_steps: bool = False
    timed_parts: bool = False
    policies: Parameters = field(default_factory=dict)
    step_by_step: bool = False

    def deployment(self) -> Deployment:
        """What is known about the model on the hardware."""
        return load_deployment(self.model, self.hardware, self.profiles)

    def parameters(self, deployment: Deployment) -> dict[str, dict[str, Any]]:
        """Parameters by policy name: the deployment's, and over them those of ``policies``."""
        return merge_policies(deployment.policies_under(self.calibration), self.policies)


@dataclass(frozen=True)
class Outcome:
    """Per-request records, run-length step records and a trace of speculation (exps.run.tracing) where the setup asked for
    them, and facts about the run."""

    requests: pl.DataFrame
    steps: pl.DataFrame | None
    facts: dict[str, Any]
    trace: pl.DataFrame | None = None


def as_it_is(error: BaseException) -> RunError | None:
    """The error, where it is one that says itself why the run cannot go on."""
    return error if isinstance(error, RunError) else None


def serve(
    timetable: pl.DataFrame,
    setup: Setup,
    deployment: Deployment,
    make_executor: Callable[[], Executor],
    requests: Iterable[Request],
    explain: Callable[[BaseException], RunError | None] = as_it_is,
) -> Outcome:
    """Serve ``requests``, the rows of ``timetable``, with the system and the KV pool of ``setup``.

    RunError, with the records so far, when a policy raises, or what serves fails, which ``explain`` tells from other errors;
    what was not done by then is unfinished.
    """
    policies = setup.system.build(setup.parameters(deployment))
    pool = make_pool(setup, deployment, policies)
    recorder = Recorder(timetable.height, setup.record_steps, timed=policies.adapters is not None)
    server: Engine | Fleet | None = None
    trace: TracingExecutor | None = None
    try:
        if policies.placement is None:
            executor = make_executor()
            trace = TracingExecutor(executor) if setup.trace_steps else None
            stretches = not setup.step_by_step and trace is None
            server = Engine(policies, trace or executor, pool, recorder, stretches=stretches)
        else:
            server = make_fleet(timetable, setup, deployment, policies.placement, make_executor, recorder)
        server.run(requests, inf if setup.until_s is None else setup.until_s)
        server.check()
    except (Exception, SystemExit) as error:
        failure = explain(error) or _of_a_policy(setup, error)
        if failure is None:
            raise
        failure.outcome = _outcome(timetable, server, pool, recorder, trace)
        raise failure from (None if failure is error else error)
    return _outcome(timetable, server, pool, recorder, trace)


def nothing_served(timetable: pl.DataFrame, setup: Setup, deployment: Deployment) -> Outcome:
    """What there is to tell of a run that failed before it began."""
    policies = setup.system.build(setup.parameters(deployment))
    pool = make_pool(setup, deployment, policies)
    return _outcome(timetable, None, pool, Recorder(timetable.height, setup.record_steps))


def _of_a_policy(setup: Setup, error: BaseException) -> PolicyError | None:
    sentence = None if isinstance(error, InputError) else blame(error)
    return None if sentence is None else PolicyError(f"{setup.system.name}: {sentence}")


def make_fleet(
    timetable: pl.DataFrame, setup: Setup, deployment: Deployment, placement: Placement,
    make_executor: Callable[[], Executor], recorder: Recorder,
) -> Fleet:
    """The replicas of a run: an engine each, with policies, pool and executor of its own."""
    names = timetable["adapter"].unique().sort().fill_null(BASE).to_list()

    def engine(number: int, hosted: Sequence[str], observer: Observer) -> Engine:
        policies = setup.system.build(setup.parameters(deployment))
        if policies.adapters is not None:
            policies.adapters.place(hosted)
        pool = make_pool(setup, deployment, policies)
        return Engine(policies, make_executor(), pool, observer, stretches=not setup.step_by_step)

    observers = [recorder.on(number) for number in range(placement.replicas)]
    return Fleet(placement, names, _room(setup, deployment), engine, observers)


def _room(setup: Setup, deployment: Deployment) -> int:
    """Adapters that would fill a replica's KV pool."""
    policies = setup.system.build(setup.parameters(deployment))
    tokens = deployment.kv_tokens if setup.kv_tokens is None else setup.kv_tokens
    if policies.adapters is None:
        return 1
    return int(tokens * deployment.model.kv_bytes_per_token // (deployment.adapter_bytes(policies.adapters) * deployment.gpus))


def _outcome(
    timetable: pl.DataFrame, server: Engine | Fleet | None, pool: BlockPool, recorder: Recorder,
    trace: TracingExecutor | None = None,
) -> Outcome:
    """What is known when a run ends, also of what still waits or runs."""
    engines = [] if server is None else [server] if isinstance(server, Engine) else server.engines
    for engine in engines:
        engine.running.batch.write_back()
        for request in engine.live.values():
            recorder.request_left(request)
    facts = {
        "kv_tokens": pool.tokens,
        "steps": sum(engine.steps for engine in engines),
        "busy_s": sum((engine.busy_s for engine in engines), 0.0),
        "end_s": max((engine.clock.now for engine in engines), default=0.0),
        **_of_adapters(engines),
        **(server.facts() if isinstance(server, Fleet) else {}),
    }
    return Outcome(recorder.requests(timetable), recorder.steps(), facts, None if trace is None else trace.frame())


def _of_adapters(engines: Sequence[Engine]) -> dict[str, Any]:
    """How often adapters were merged, unmerged and copied in, over all replicas, and the most seconds that any spent on it."""
    policies = [engine.running.adapters for engine in engines]
    if not policies or policies[0] is None:
        return {}
    return {
        "folds": sum(policy.folds for policy in policies if policy),
        "loads": sum(policy.loads for policy in policies if policy),
        "adjust_s": max(engine.executor.adjust_s for engine in engines),
    }


def make_pool(setup: Setup, deployment: Deployment, policies: Policies) -> BlockPool:
    """The KV pool of a run, beside its adapters. InputError when it is too small for a block."""
    tokens = deployment.kv_tokens if setup.kv_tokens is None else setup.kv_tokens
    if policies.adapters is not None:
        tokens = deployment.kv_tokens_beside(policies.adapters, tokens)
    try:
        return BlockPool(tokens, policies.batching.block_size)
    except ValueError as error:
        raise InputError(f"{error}; give a larger --kv-tokens.") from error
