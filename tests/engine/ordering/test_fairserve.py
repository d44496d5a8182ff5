"""FairServe's charges, lift, preference and refusals by hand, hook by hook."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ordering.fairserve import FairServe
from engine.request import Expected, Request
from tests.engine.ordering.hooks import admit, arrive, block, call, charged, finish, head, preempt

SHAPE = {"prompt": 80, "output": 30, "system_tokens": 20}


@pytest.mark.parametrize(
    ("parameters", "cost"),
    [
        ({}, (60 + 20 + 2 * 30) / (100 + 50 + 2 * 20)),
        ({"w_p": 3, "w_s": 5, "w_q": 7}, (3 * 60 + 5 * 20 + 7 * 30) / (3 * 100 + 5 * 50 + 7 * 20)),
        ({"priorities": "a:3", "weights": {"a": 2}}, 1.5 * 140 / 190),
        ({"charge": "ratio", "w_p": 3, "w_s": 5, "w_q": 7}, 3 * 60 / 100 + 5 * 20 / 50 + 7 * 30 / 20),
        ({"charge": "ratio"}, 60 / 100 + 20 / 50 + 2 * 30 / 20),
        ({"charge": "ratio", "priorities": {"a": 3}, "weights": "a:2"}, 1.5 * (60 / 100 + 20 / 50 + 2 * 30 / 20)),
        ({"charge": "ratio", "duplicate_charge": True}, 60 / 100 + 20 / 50 + 2 * (29 + 1) / 20),
    ],
)
def test_what_a_request_costs(parameters: dict[str, Any], cost: float) -> None:
    assert charged(FairServe(**parameters), call(0, **SHAPE)) == pytest.approx(cost)


@pytest.mark.parametrize("charge", ["whole", "ratio"])
def test_a_request_as_long_as_expected_costs_the_same_for_every_application(charge: str) -> None:
    lengths = [(100, 50, 20), (7, 3, 900)]
    costs = [
        charged(FairServe(charge=charge), call(0, prompt=i + s, output=o, system_tokens=s, expected=Expected(i, s, o)))
        for i, s, o in lengths
    ]
    assert costs == pytest.approx([{"whole": 1, "ratio": 4}[charge]] * 2)


@pytest.mark.parametrize("charge", ["whole", "ratio"])
def test_doubling_lengths_and_expectations_changes_nothing(charge: str) -> None:
    twice = call(0, prompt=160, output=60, system_tokens=40, expected=Expected(200, 100, 40))
    assert charged(FairServe(charge=charge), twice) == pytest.approx(charged(FairServe(charge=charge), call(0, **SHAPE)))


def test_the_table_by_client_knows_the_second_client_and_every_tenth_after_it() -> None:
    cost = [
        charged(FairServe(charge="ratio", expected="client"), call(0, f"client-{number}", prompt=780, expected=None))
        for number in (1, 11, 3)
    ]
    assert cost[:2] == pytest.approx([580 / 580 + 200 / 2000 + 2 * 5 / 258] * 2)
    assert cost[2] == pytest.approx(5 * (630 / 512 + 150 / 1500 + 2 * 5 / 512))


@pytest.mark.parametrize(("charge", "cost"), [("whole", (5 + 2 * 30) / (300 + 50 + 40)), ("ratio", 5 / 50 + 2 * 30 / 20)])
def test_no_more_of_a_prompt_is_the_systems_than_there_is(charge: str, cost: float) -> None:
    short = call(0, prompt=5, output=30, system_tokens=20)
    assert charged(FairServe(charge=charge, w_p=3), short) == pytest.approx(cost)


def test_only_the_end_of_a_request_is_charged_by_the_whole() -> None:
    policy = FairServe()
    arrive(policy, call(0), call(1, interaction=2), call(2, "b"))
    assert [admit(policy).id for _ in range(2)] == [0, 1]
    assert policy.counters == {"a": 0, "b": 0}


@pytest.mark.parametrize(("lift_from_empty", "counter"), [(True, 1.0), (False, 0.0)])
def test_a_newcomer_is_lifted(lift_from_empty: bool, counter: float) -> None:
    policy = FairServe(lift_from_empty=lift_from_empty)
    whole = {"prompt": 150, "output": 20, "system_tokens": 50}
    assert charged(policy, call(0, **whole)) == 1.0
    arrive(policy, call(1, "b"))
    assert policy.counters["b"] == counter
    arrive(policy, call(2, "c"))
    assert policy.counters["c"] == counter


@pytest.mark.parametrize(("prefer", "order"), [(True, "aab"), (False, "aba")])
def test_a_client_in_the_middle_of_an_interaction_goes_first_from_the_next_pass_on(prefer: bool, order: str) -> None:
    policy = FairServe(prefer=prefer, charge="ratio")
    arrive(policy, call(0, "a", call=1, calls=3), call(1, "a", call=2, calls=3), call(2, "b"))
    policy.on_pass(0.0)
    first = admit(policy)
    assert head(policy).client == "b"
    policy.on_pass(0.0)
    assert first.client + admit(policy).client + admit(policy).client == order


def test_the_preference_ends_with_the_running_call() -> None:
    policy = FairServe(charge="ratio")
    arrive(policy, call(0, "a", call=1, calls=3), call(1, "a", call=2, calls=3), call(2, "b"))
    policy.on_pass(0.0)
    running = admit(policy)
    policy.on_pass(0.0)
    assert head(policy).id == 1
    finish(policy, running)
    assert head(policy).id == 2


def test_a_preempted_call_pays_and_repays_once() -> None:
    policy = FairServe(charge="ratio", limit=5, rpm_debt="repaid")
    first = call(0)
    arrive(policy, first, *(call(id, interaction=id) for id in range(2, 7)))
    assert block(policy) == []
    admit(policy)
    paid = policy.counters["a"]
    preempt(policy, first)
    admit(policy)
    assert policy.counters["a"] == paid > 0


def test_a_preempted_client_goes_first_while_another_interaction_of_its_own_is_under_way() -> None:
    policy = FairServe(charge="ratio")
    first, second = (call(id, interaction=id, call=1, calls=2) for id in range(2))
    arrive(policy, first, second)
    policy.on_pass(0.0)
    admit(policy), admit(policy)
    arrive(policy, call(2, "b"))
    policy.counters["b"] = 0.0
    policy.on_pass(0.0)
    assert head(policy).client == "b"
    preempt(policy, second)
    assert head(policy) is second


@pytest.mark.parametrize(
    ("parameters", "request_", "says"),
    [
        ({}, call(5, expected=None), "request 5 of client a has no expected lengths to be charged by"),
        ({"expected": "client"}, call(5),
         "client a has no number at the end of its name, by which the artifact knows expected lengths"),
        ({}, call(5, call=3, calls=2), "request 5 is call 3 of an interaction of 2 calls"),
        ({}, call(5, call=0, calls=2), "request 5 is call 0 of an interaction of 2 calls"),
        ({}, call(5, interaction=7), "request 5 is call 1 of interaction 7 of client a, as is another that has not ended"),
    ],
)
def test_a_faulty_request_is_turned_away_with_one_sentence(parameters: dict[str, Any], request_: Request, says: str) -> None:
    policy = FairServe(**parameters)
    if not parameters:
        arrive(policy, call(0, interaction=7), call(1, "b", interaction=7))
    assert policy.on_arrival(request_, 0.0) == says


@pytest.mark.parametrize(
    "parameters",
    [{"limit": 0}, {"charge": "all"}, {"check": "later"}, {"drop": "last"}, {"rpm_debt": "x"}, {"expected": "app"},
     {"w_q": -1}, {"w_p": 0, "w_s": 0, "w_q": 0}, {"weights": "a:0"}, {"priorities": "a"}, {"limit": "many"}, {"prefer": 1},
     {"rpm_debt": "kept", "check": "always"}],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FairServe(**parameters)
