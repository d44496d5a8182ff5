"""Deficit round-robin and requests a minute, by hand and in the simulator."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given, settings

from engine.batching.slora import SLoRA
from engine.ordering.drr import DRR
from engine.ordering.rpm import RPM
from engine.ordering.vtc import VTC
from engine.request import FINISHED, REJECTED, Request
from tests.engine.strategies import assert_served, make_request, serve, workloads


def admit_next(policy: DRR) -> str:
    request = policy.next(0.0)
    assert request is not None and policy.next(0.0) is request
    policy.on_admit(request, 0.0)
    return request.client


def test_clients_take_turns_while_their_credit_lasts() -> None:
    drr = DRR(quantum=25)
    for client in "aaaabbbb":
        drr.enqueue(make_request(client=client, prompt=10))
    assert [admit_next(drr) for _ in range(8)] == ["a", "a", "a", "b", "b", "b", "a", "b"]


def test_the_last_token_of_credit_is_credit() -> None:
    drr = DRR(quantum=11)
    for client in "aabb":
        drr.enqueue(make_request(client=client, prompt=10))
    assert [admit_next(drr) for _ in range(4)] == ["a", "a", "b", "b"]


def test_a_debt_is_gone_in_the_round_that_pays_it_off() -> None:
    """a owes 10 of 100 while it runs; b, whose turn is one round later, goes, and a comes back in that round."""
    drr = DRR(quantum=100, w_q=1.0)
    drr.enqueue(make_request(0, "a", prompt=50))
    admit_next(drr)
    drr.on_tokens({"a": 60}, first=False, finished=0)
    assert drr.credits["a"] == -10
    for request in (make_request(1, "b", prompt=50), make_request(2, "b", prompt=50)):
        drr.enqueue(request)
    admit_next(drr)
    drr.enqueue(make_request(3, "a"))
    assert drr.credits == {"a": 0.0, "b": 50.0}


def test_output_tokens_make_credit_negative_and_cost_turns() -> None:
    drr = DRR(quantum=10)
    for client in "aabb":
        drr.enqueue(make_request(client=client, prompt=10))
    assert admit_next(drr) == "a"
    drr.on_tokens({"a": 20}, first=False, finished=0)
    assert [admit_next(drr), admit_next(drr), admit_next(drr)] == ["b", "b", "a"]


def test_a_deep_debt_is_repaid_in_one_decision() -> None:
    drr = DRR(quantum=1e-3)
    drr.enqueue(make_request(0, "a", prompt=10))
    admit_next(drr)
    drr.on_tokens({"a": 1e6}, first=False, finished=0)  # type: ignore[dict-item]
    drr.enqueue(make_request(1, "a"))
    assert admit_next(drr) == "a"


def test_with_a_quantum_towards_nothing_service_is_as_equal_as_under_vtc() -> None:
    requests = [make_request(i, "ab"[i % 3 > 0], prompt=20, output=20) for i in range(60)]
    served = serve(requests, SLoRA(poll_s=0.0), DRR(quantum=1e-6), pool_tokens=200)
    firsts = [request.client for request in sorted(served.requests, key=lambda r: (r.admitted_s, r.id))][:30]
    assert abs(firsts.count("a") - firsts.count("b")) <= 6


@given(workloads())
@settings(deadline=None, max_examples=30)
def test_everyone_is_served_and_forgotten(requests: list[Request]) -> None:
    drr = DRR(quantum=40)
    assert_served(serve(requests, SLoRA(), drr))
    assert all(credit <= 0 for credit in drr.credits.values())


def test_a_debt_outlives_the_clients_requests_and_is_paid_off_by_the_rounds() -> None:
    """A client that had 100 tokens and left is behind one that had 20, until rounds enough have passed."""
    drr = DRR(quantum=1e-6)
    for client, tokens in (("a", 45), ("b", 5)):
        request = make_request(client=client, prompt=10)
        drr.enqueue(request)
        admit_next(drr)
        drr.on_tokens({client: tokens}, first=False, finished=0)
        drr.on_finish(request, 0.0)
    for client in "baa":
        drr.enqueue(make_request(client=client, prompt=90))
    assert [admit_next(drr) for _ in range(3)] == ["b", "a", "a"]


@pytest.mark.parametrize("quantum", [1e-6, 1e-3])
def test_with_a_quantum_towards_nothing_the_order_is_that_of_vtc(quantum: float) -> None:
    """Where clients come, go and come back, most random runs are served in the very same order; the two policies break ties
    between equal counters differently."""
    same = 0
    for seed in range(60):
        rng = random.Random(seed)
        arrivals = list(accumulate(rng.choice([0.0, 0.0, 0.01, 0.3, 1.0]) for _ in range(40)))
        rows = [(rng.choice("abc"), rng.randint(5, 60), rng.randint(3, 40), arrival) for arrival in arrivals]
        orders = []
        for policy in (DRR(quantum), VTC()):
            requests = [make_request(i, c, p, q, arrival_s=arrival) for i, (c, p, q, arrival) in enumerate(rows)]
            serve(requests, SLoRA(poll_s=0.0, longest_request=100, adapter_tokens=0), policy, pool_tokens=150)
            orders.append([r.id for r in sorted(requests, key=lambda r: (r.admitted_s, r.id))])
        same += orders[0] == orders[1]
    assert same >= 45


def test_who_left_with_credit_comes_back_without() -> None:
    drr = DRR(quantum=100)
    request = make_request(client="a", prompt=10)
    drr.enqueue(request)
    admit_next(drr)
    drr.on_finish(request, 0.0)
    drr.enqueue(make_request(client="a"))
    assert drr.credits == {"a": 0.0}


def test_the_quantum_is_a_twentieth_of_the_pool_unless_told() -> None:
    drr, told = DRR(), DRR(quantum=7)
    drr.on_pool(4000)
    told.on_pool(4000)
    assert (drr.quantum, told.quantum) == (200, 7)


def test_rpm_turns_away_what_is_over_the_limit_within_a_minute() -> None:
    times = (0.0, 10.0, 20.0, 59.0, 60.5, 61.0, 75.0)
    rpm = RPM(limit=2)
    requests = [make_request(i, arrival_s=time) for i, time in enumerate(times)]
    accepted = [rpm.on_arrival(request, request.arrival_s) is None for request in requests]
    assert accepted == [True, True, False, False, True, False, True]


@given(workloads())
@settings(deadline=None, max_examples=30)
def test_rpm_never_passes_more_than_its_limit(requests: list[Request]) -> None:
    served = serve(requests, SLoRA(), RPM(limit=2))
    assert {request.status for request in served.requests} <= {FINISHED, REJECTED}
    for client in {request.client for request in requests}:
        taken = sorted(r.arrival_s for r in served.requests if r.client == client and r.status == FINISHED)
        assert all(later - sooner > 55 for sooner, later in zip(taken, taken[2:], strict=False))


@pytest.mark.parametrize(("make", "parameter"), [(RPM, {"limit": 0}), (RPM, {"limit": -3}), (DRR, {"quantum": 0.0})])
def test_a_parameter_without_sense_is_refused(make: type[RPM] | type[DRR], parameter: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make(**parameter)  # type: ignore[arg-type]
