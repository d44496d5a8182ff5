"""What holds of every policy on both executors: nothing is lost, nobody waits for nothing, and names do not matter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from engine.batching import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.ordering import ORDERINGS
from engine.request import ABORTED, FINISHED, REJECTED, Request
from tests.engine.invariants.history import History
from tests.engine.invariants.orders import ORDERS, make_order
from tests.engine.invariants.stages import NATIVE, SIMULATED, Stage, by_peak
from tests.engine.invariants.traffic import CLIENTS, crowd, traffic
from tests.engine.strategies import total

BATCHINGS: dict[str, Callable[[], Batching]] = {
    "slora": by_peak,
    "vllm": lambda: VLLM(max_sequences=4, watermark=0.0, block_size=4),
    "sarathi": lambda: Sarathi(token_budget=32, max_sequences=4, watermark=0.0, block_size=4),
}
POOLS = st.integers(56, 130)
SOME = traffic(max_size=16, max_output=12)
SAME_ORDER = dict(zip(CLIENTS, ("anna", "bert", "carl"), strict=True))
OTHER_ORDER = dict(zip(CLIENTS, ("zoe", "adam", "mia"), strict=True))


def throttles(order: str) -> bool:
    return "limit=" in order


def test_every_policy_is_among_them() -> None:
    assert {re.split(r"\(", order)[0] for order in ORDERS} == set(ORDERINGS)


@pytest.mark.parametrize("order", ORDERS)
def test_every_request_is_reported_once_and_nothing_is_lost(stage: Stage, order: str) -> None:
    """Some do not fit the pool; the engine itself is asked after every step that nobody waits while it idles."""

    def check(requests: list[Request], pool_tokens: int, batching: str) -> None:
        history = stage.serve(requests, make_order(order), pool_tokens, BATCHINGS[batching]())
        assert sorted(request.id for request in history.done) == [request.id for request in requests]
        for request in history.requests:
            assert_ended(request, dropped=throttles(order))
        finished = history.finished()
        assert total(step.output for step in history.steps) == of_clients(finished, "output_tokens")
        assert total(step.prompt for step in history.steps) == of_clients(finished, "prompt_tokens")
        computes_again = any(request.preemptions for request in finished)
        assert computes_again or all(step.prompt or step.output for step in history.steps)

    stage.holds(15, check, SOME, POOLS, st.sampled_from(sorted(BATCHINGS)))


def assert_ended(request: Request, dropped: bool) -> None:
    """Served whole or not at all; ``dropped``: although it fits."""
    if request.status == FINISHED:
        assert request.generated == request.output_tokens and request.reason is None
        assert request.admitted_s is not None and request.first_token_s is not None and request.finished_s is not None
        assert request.arrival_s <= request.admitted_s < request.first_token_s <= request.finished_s
    else:
        assert request.reason and request.generated == 0 and request.admitted_s is None
        assert request.status == REJECTED or (dropped and request.status == ABORTED)
        assert dropped or "pool" in request.reason


def of_clients(requests: Sequence[Request], column: str) -> Counter[str]:
    return total({request.client: getattr(request, column)} for request in requests)


@pytest.mark.parametrize("order", ORDERS)
def test_the_engine_sleeps_only_while_nobody_is_here(order: str) -> None:
    """By the records alone: from the end of a step to the start of the next nobody has come and not left."""

    def check(requests: list[Request]) -> None:
        history = SIMULATED.serve(requests, make_order(order))
        end_s = 0.0
        for step in history.steps:
            here = [r for r in history.finished() if r.arrival_s < step.start_s and (r.finished_s or 0.0) > end_s]
            assert step.start_s == end_s or not here
            end_s = step.end_s

    SIMULATED.holds(12, check, traffic(max_gap_s=0.4))


def records(history: History) -> list[tuple[Any, ...]]:
    return [(r.status, r.admitted_s, r.first_token_s, r.finished_s, r.preemptions) for r in history.requests]


def steps_of_admission(history: History) -> list[tuple[Any, ...]]:
    starts_s = history.starts_s()
    return [(r.status, np.searchsorted(starts_s, np.inf if r.admitted_s is None else r.admitted_s)) for r in history.requests]


def renamed(requests: Sequence[Request], names: dict[str, str]) -> list[Request]:
    fresh = [copy(request) for request in requests]
    for request in fresh:
        request.client = names[request.client]
    return fresh


@pytest.mark.parametrize("order", ORDERS)
def test_other_names_change_no_decision(stage: Stage, order: str) -> None:
    """Round-robin visits names in their order, so there only names in the same order. On the wall clock all come at once,
    nothing is late and no round ends."""
    names = SAME_ORDER if order == "round-robin" else OTHER_ORDER
    wall = stage is NATIVE
    told = re.sub(r"_s=[\d.]+", "_s=1000", order) if wall else order
    observed = steps_of_admission if wall else records

    def check(requests: list[Request], pool_tokens: int) -> None:
        for request in requests:
            request.slo_s = None if wall else request.slo_s
        runs = [stage.serve(sent, make_order(told), pool_tokens) for sent in (requests, renamed(requests, names))]
        assert observed(runs[0]) == observed(runs[1])

    stage.holds(15, check, traffic(max_size=16, max_output=12, max_gap_s=0.0 if wall else 0.03), POOLS)


def test_round_robin_goes_by_name(stage: Stage) -> None:
    requests = crowd([(client, 4, 3) for client in CLIENTS])
    same, other = (
        stage.serve(renamed(requests, names), make_order("round-robin"), batching=VLLM(max_sequences=1))
        for names in (SAME_ORDER, OTHER_ORDER)
    )
    assert same.admissions() == [0, 1, 2]
    assert other.admissions() == [1, 2, 0]
