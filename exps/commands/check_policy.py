"""The check-policy command: whether a system's policies keep their contract, on many small random workloads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.audit import watched_ordering, watched_speculation
from engine.blame import blame
from engine.core import Engine, Observer
from engine.errors import PolicyError
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost, Line, StepCost
from engine.executors.simulated.executor import SimulatedExecutor
from engine.fleet import Fleet
from engine.kv_cache import BlockPool
from engine.request import FINISHED, Expected, Request
from engine.roles import Choice, Policies
from engine.system import System, parse_system
from exps.report import Reporter
from exps.run.plan import columns_of
from exps.run.recorder import Recorder

WORKLOADS, REQUESTS, TOO_LONG = 60, 40, 500
NAMES = ("adapter-0", "adapter-1", "adapter-2")
BATCHINGS = (
    Choice("slora", {"longest_request": 60, "adapter_tokens": 0}),
    Choice("vllm", {"max_sequences": 4, "watermark": 0.0, "block_size": 4}),
    Choice("sarathi", {"max_sequences": 4, "watermark": 0.0, "block_size": 4, "token_budget": 64}),
)
COST = StepCost(Line((1, 101), (0.010, 0.020)), context_s=1e-6, draft=DraftCost(step_s=0.001, token_s=1e-5))
ACCEPTANCE = AcceptanceModel(0.7)


def check_policy(text: str, report: Reporter, workloads: int = WORKLOADS) -> None:
    """Serve random workloads in a pool too small for them, under the system's batching or under each; every answer of the
    policies is held against their contract, and the engine's invariants after every step.

    PolicyError, with the seed of the workload, at the first that breaks it.
    """
    system = parse_system(text)
    chosen = "batch=" in text
    steps = served = 0
    for seed in range(workloads):
        under = system if chosen else system.under(BATCHINGS[seed % len(BATCHINGS)])
        requests = random_requests(seed)
        steps += _serve(under, seed, requests)
        served += sum(request.status == FINISHED for request in requests)
    if not served:
        raise PolicyError(f"{text} served nobody: it rejected or dropped every request of {workloads} random workloads.")
    own = f"batch={system.choices['batching']}" if chosen else "slora, vllm and sarathi"
    report.say(f"{text} keeps its contract: {workloads} random workloads, {steps:,} steps, under {own}.")


def _serve(system: System, seed: int, requests: Sequence[Request]) -> int:
    """Steps of one workload."""
    try:
        policies = system.build({})
        policies.ordering = watched_ordering(policies.ordering, always=True)
        policies.speculation = watched_speculation(policies.speculation, always=True)
        columns_of(policies.ordering)
        server = _server(system, policies, seed)
        server.run(requests)
        server.check()
    except (Exception, SystemExit) as error:
        sentence = blame(error)
        if sentence is None:
            raise
        raise PolicyError(f"{system.name}: {sentence} (workload {seed})") from error
    return server.steps


def _server(system: System, policies: Policies, seed: int) -> Engine | Fleet:
    """An engine, or replicas where the system places requests on them."""
    recorder = Recorder(REQUESTS, record_steps=False)

    def engine(policies: Policies, observer: Observer) -> Engine:
        pool = BlockPool(160, policies.batching.block_size)
        return Engine(policies, SimulatedExecutor(COST, ACCEPTANCE, seed), pool, observer)

    def replica(number: int, hosted: Sequence[str], observer: Observer) -> Engine:
        own = system.build({})
        if own.adapters is not None:
            own.adapters.place(hosted)
        return engine(own, observer)

    if (placement := policies.placement) is None:
        return engine(policies, recorder)
    return Fleet(placement, NAMES, 8, replica, [recorder.on(number) for number in range(placement.replicas)])


def random_requests(seed: int) -> list[Request]:
    """Requests of four clients in order of arrival, some of which lose patience and some of which no pool here can hold."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(0.02, REQUESTS) * (rng.random(REQUESTS) < 0.6))
    requests = []
    for id, arrival in enumerate(arrivals.tolist()):
        prompt, output = (int(tokens) for tokens in rng.integers(1, (50, 25)))
        prompt = TOO_LONG if rng.random() < 0.04 else prompt
        request = Request(id, f"client-{rng.integers(4)}", prompt, output, arrival, slo_tpot_s=0.02, category="chat")
        request.slo_s, request.expected = 0.5, Expected(20.0, 10.0, 10.0)
        request.adapter = NAMES[id % len(NAMES)]
        request.patience_s = 0.3 if rng.random() < 0.2 else None
        requests.append(request)
    return requests
