"""Replicas behind a dispatcher: nothing is lost, nothing served twice, whoever moves and whatever fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters import ADAPTERS
from engine.batching import BATCHINGS
from engine.batching.orca import Orca
from engine.core import Engine
from engine.executors.simulated.adapter_cost import AdapterCost
from engine.executors.simulated.executor import SimulatedExecutor
from engine.fleet import Fleet
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.placement import PLACEMENTS, Placement
from engine.placement.least_cost import LeastCost
from engine.placement.migrating import Migrating
from engine.request import FAILED, FINISHED, Request
from engine.roles import Policies
from tests.engine.strategies import COST, CheckedEngine, Log, make_request, total

NAMES = ("a", "b", "c", "d")
ADAPTER_COST = AdapterCost(0.008, 1e-7, 1e-5, 0.02, 0.003, 0.05, layers=4)


def make_fleet(placement: Placement, adapters: str = "credit", pool: int = 240, swap: int = 64) -> tuple[Fleet, list[Log]]:
    def engine(number: int, hosted: Sequence[str], observer) -> Engine:
        make = ADAPTERS[adapters]
        policy = None if make is None else make()
        if policy is not None:
            policy.place(hosted)
        orca = Orca(max_sequences=4, max_batched_tokens=128, block_size=4, watermark=0.0, swap_tokens=swap)
        executor = SimulatedExecutor(COST, None, 0, swap_token_s=1e-5, adapters=ADAPTER_COST)
        return CheckedEngine(Policies(FCFS(), orca, adapters=policy), executor, BlockPool(pool, 4), observer)

    logs = [Log() for _ in range(placement.replicas)]
    return Fleet(placement, NAMES, 8, engine, logs), logs


@st.composite
def loads(draw: st.DrawFn) -> list[Request]:
    shape = st.tuples(st.floats(0, 0.1), st.sampled_from(NAMES), st.integers(1, 50), st.integers(1, 25))
    rows, now, requests = draw(st.lists(shape, min_size=1, max_size=25)), 0.0, []
    for id, (gap, adapter, prompt, output) in enumerate(rows):
        now += gap
        requests.append(make_request(id, adapter, prompt, output, arrival_s=now, adapter=adapter))
    return requests


def assert_once(requests: list[Request], logs: list[Log]) -> None:
    """Each was heard of once, its tokens were produced once, and every token is of a replica's steps."""
    done = [request for log in logs for request in log.done]
    assert sorted(request.id for request in done) == [request.id for request in requests]
    assert all(request.generated == request.output_tokens for request in requests)
    produced = total(step.output for log in logs for step in log.steps)
    assert produced == Counter({name: sum(r.output_tokens for r in requests if r.client == name) for name in produced})
    assert all(request.arrival_s <= request.admitted_s < request.first_token_s <= request.finished_s for request in requests)
    assert all(request in logs[request.replica].done for request in requests)


@settings(max_examples=40, deadline=None)
@given(loads(), st.sampled_from([name for name, make in PLACEMENTS.items() if make]), st.sampled_from(list(ADAPTERS)),
       st.integers(1, 3))
def test_every_request_is_served_once(requests, place, adapters, replicas):
    make = PLACEMENTS[place]
    assert make is not None
    fleet, logs = make_fleet(make(replicas=replicas), adapters)
    fleet.run(requests)
    fleet.check()
    assert_once(requests, logs)


@settings(max_examples=60, deadline=None)
@given(loads(), st.sampled_from(("recomputed", "transferred")), st.floats(0.02, 0.5), st.integers(0, 2), st.floats(0, 1.5),
       st.integers(100, 240))
def test_nothing_is_lost_or_doubled_by_moves_and_failures(requests, kv, period_s, failing, at_s, pool):
    placement = Migrating(replicas=3, period_s=period_s, kv=kv, fails=f"{failing}@{at_s:f}")
    fleet, logs = make_fleet(placement, pool=pool)
    fleet.run(requests)
    fleet.check()
    assert_once(requests, logs)
    late = [request for request in requests if request.finished_s > at_s + 0.2]
    assert all(request.replica != failing for request in late)


def crowd(n: int = 60) -> list[Request]:
    return [make_request(id, "a", 10, 20, adapter="a") for id in range(n)]


@pytest.mark.parametrize("kv", ["recomputed", "transferred"])
def test_requests_go_on_elsewhere_with_what_they_have(kv):
    """All want an adapter that one replica has; the other gets a part of them, with or without their keys and values."""
    placement = Migrating(replicas=2, period_s=0.3, kv=kv)
    fleet, logs = make_fleet(placement, pool=2000, swap=2000)
    placement.hosting.of[:] = [{"a": None}, {"b": None}]
    requests = crowd()
    fleet.run(requests)
    assert_once(requests, logs)
    by_replica = Counter(request.replica for request in requests)
    assert placement.facts()["moved"] == by_replica[1] > 15
    assert max(request.finished_s for request in requests) < 0.7 * alone(crowd())


def alone(requests: list[Request]) -> float:
    fleet, _ = make_fleet(LeastCost(replicas=1), pool=2000)
    fleet.run(requests)
    return max(request.finished_s for request in requests)


def test_when_all_replicas_fail_requests_fail_and_are_told_of():
    fleet, logs = make_fleet(LeastCost(replicas=2, fails="0@0.05;1@0.2"))
    requests = [make_request(id, "a", 10, 20, arrival_s=0.1 * id, adapter="a") for id in range(5)]
    fleet.run(requests)
    done = sorted(request.id for log in logs for request in log.done)
    assert done == [0, 1, 2, 3, 4]
    assert [request.status for request in requests][-2:] == [FAILED, FAILED]
    assert requests[-1].reason == "every replica has failed" and FINISHED not in {request.status for request in requests[2:]}


@settings(max_examples=25, deadline=None)
@given(loads(), st.sampled_from(("vllm", "sarathi")))
def test_a_fleet_of_one_is_an_engine(requests, batching):
    """Of servers that see a request the moment it is sent: looks at a replica cut the naps of one that polls."""

    def run(placed: bool) -> list[tuple]:
        again = [make_request(r.id, r.client, r.prompt_tokens, r.output_tokens, arrival_s=r.arrival_s) for r in requests]
        log, policies = Log(), Policies(FCFS(), BATCHINGS[batching]())

        def engine(number: int, hosted: Sequence[str], observer) -> Engine:
            return Engine(policies, SimulatedExecutor(COST, None, 0), BlockPool(4000, 16), observer)

        server = Fleet(LeastCost(), (), 1, engine, [log]) if placed else engine(0, (), log)
        server.run(again)
        return [(r.status, r.admitted_s, r.first_token_s, r.finished_s, r.steps) for r in again]

    assert run(True) == run(False)
