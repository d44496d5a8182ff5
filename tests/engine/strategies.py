"""Builders and hypothesis strategies that the engine's tests share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import inf
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from engine.batch import Batch
from engine.batching import Batching
from engine.core import Engine
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost, Line, StepCost
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering import Ordering
from engine.ordering.fcfs import FCFS
from engine.plan import DraftShape, StepPlan, StepResult
from engine.progress import Progress
from engine.request import FINISHED, REJECTED, Request
from engine.roles import Policies
from engine.speculation import Speculation

COST = StepCost(Line((1, 101), (0.010, 0.020)), context_s=1e-6, draft=DraftCost(step_s=0.001, token_s=1e-5))
ACCEPTANCE = AcceptanceModel(0.7)
VOCABULARY = 64


class Step(NamedTuple):
    """What the observer heard of a step."""

    start_s: float
    end_s: float
    prompt: dict[str, int]
    output: dict[str, int]


class Seen(NamedTuple):
    """What the executor was asked: rows, whether they decode, chunks as (request, done, tokens), tree nodes, shape."""

    rows: int
    decode: bool
    chunks: tuple[tuple[int, int, int], ...]
    nodes: int
    draft: DraftShape | None

    @property
    def tokens(self) -> int:
        return (self.rows if self.decode else 0) + self.nodes + sum(tokens for *_, tokens in self.chunks)


class Spy(SimulatedExecutor):
    """The simulated executor, with a memory."""

    seen: list[Seen]

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        nodes = 0
        if plan.trees is not None:
            plan.trees.check()
            nodes = int(plan.trees.selected.sum())
        chunks = tuple((chunk.request.id, chunk.done, chunk.tokens) for chunk in plan.prefill)
        self.seen.append(Seen(len(batch), plan.decode, chunks, nodes, plan.draft))
        return super().forward(plan, batch)


class CheckedEngine(Engine):
    """Checks the KV accounting after every step, and that the engine idles only when it has nothing to do."""

    def step(self, until_s: float = -inf) -> bool:
        busy = super().step(until_s)
        self.check()
        assert busy or not (len(self.ordering) or self.running.sequences()), "idle although a request waits or runs"
        return busy


@dataclass
class Log:
    """An observer that remembers everything."""

    done: list[Request] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def request_done(self, request: Request) -> None:
        self.done.append(request)

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        self.steps.append(Step(start_s, end_s, dict(prompt), dict(output)))


class Served(NamedTuple):
    """A finished run."""

    engine: Engine
    log: Log
    seen: list[Seen]
    requests: list[Request]

    def records(self) -> list[tuple[Any, ...]]:
        return [
            (r.status, r.admitted_s, r.first_token_s, r.finished_s, r.steps, r.drafted_tokens, r.accepted_tokens,
             r.preemptions)
            for r in self.requests
        ]


def make_request(id: int = 0, client: str = "a", prompt: int = 10, output: int = 5, **rest: Any) -> Request:
    """A request whose prompt depends on its id and length alone, for executors that compute and those that do not."""
    ids = [(7 * id + 11 * place + place * place) % VOCABULARY for place in range(prompt)]
    return Request(id, client, prompt, output, **{"arrival_s": 0.0, "prompt_ids": ids, **rest})


def make_progress(latency_s: Sequence[float], decoded: Sequence[int], slo_tpot_s: Sequence[float] | None = None) -> Progress:
    """Progress of as many requests as there are latencies; no SLO unless told."""
    n = len(latency_s)
    zeros = np.zeros(n, np.int64)
    slo = np.full(n, np.inf) if slo_tpot_s is None else np.asarray(slo_tpot_s, np.float64)
    requests = [make_request(i) for i in range(n)]
    return Progress(requests, zeros, np.asarray(decoded) + 1, zeros, zeros, np.asarray(latency_s, np.float64), slo)


def serve(
    requests: Sequence[Request],
    batching: Batching,
    ordering: Ordering | None = None,
    speculation: Speculation | None = None,
    pool_tokens: int = 10_000,
    acceptance: AcceptanceModel | None = ACCEPTANCE,
    cost: StepCost = COST,
    seed: int = 0,
    cold_start_s: float = 0.0,
    log: Log | None = None,
) -> Served:
    """Serve ``requests`` to the end on the simulator, checking every step."""
    executor = Spy(cost, acceptance, seed, cold_start_s)
    executor.seen = []
    pool = BlockPool(pool_tokens, batching.block_size)
    ordering = FCFS() if ordering is None else ordering
    engine = CheckedEngine(Policies(ordering, batching, speculation), executor, pool, log or Log())
    engine.run(requests)
    assert isinstance(engine.observer, Log)
    return Served(engine, engine.observer, executor.seen, list(requests))


def assert_served(served: Served) -> None:
    """Every request was heard of once, nothing was lost, nothing was produced twice, and the pool is whole again."""
    requests, log, pool = served.requests, served.log, served.engine.running.pool
    assert sorted(request.id for request in log.done) == [request.id for request in requests]
    assert pool.free == pool.capacity
    output: Counter[str] = Counter()
    for request in requests:
        assert request.blocks == 0
        if request.status == REJECTED:
            assert request.reason and request.generated == 0 and request.admitted_s is None
            continue
        assert request.status == FINISHED and request.generated == request.output_tokens
        assert request.admitted_s is not None and request.first_token_s is not None and request.finished_s is not None
        assert request.arrival_s <= request.admitted_s < request.first_token_s <= request.finished_s
        assert request.accepted_tokens <= request.drafted_tokens
        output[request.client] += request.generated
    assert total(step.output for step in log.steps) == output
    assert all(before.end_s <= after.start_s for before, after in pairwise(log.steps))


def total(counts: Any) -> Counter[str]:
    """Tokens of each client over steps."""
    tokens: Counter[str] = Counter()
    for by_client in counts:
        tokens.update(by_client)
    return tokens


@st.composite
def workloads(
    draw: st.DrawFn,
    clients: Sequence[str] = ("a", "b", "c"),
    max_size: int = 14,
    max_prompt: int = 60,
    max_output: int = 25,
    max_gap_s: float = 0.1,
) -> list[Request]:
    """Requests in order of arrival; about half of them come together with the one before."""
    gaps = st.one_of(st.just(0.0), st.floats(0, max_gap_s))
    shape = st.tuples(
        gaps,
        st.sampled_from(clients),
        st.integers(1, max_prompt),
        st.integers(1, max_output),
        st.sampled_from((None, 0.005, 0.02, 0.1)),
    )
    rows = draw(st.lists(shape, min_size=1, max_size=max_size))
    arrivals = accumulate(row[0] for row in rows)
    return [
        make_request(i, client, prompt, output, arrival_s=arrival, slo_tpot_s=slo)
        for i, ((_, client, prompt, output, slo), arrival) in enumerate(zip(rows, arrivals, strict=True))
    ]
