"""FairServe: interactions are served whole or not begun, nobody is dropped without overload, and service has no unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from engine.ordering.fairserve import FairServe
from engine.request import ABORTED, FINISHED, Expected, Request
from tests.engine.invariants.history import History
from tests.engine.invariants.stages import Stage
from tests.engine.invariants.traffic import crowd, traffic
from tests.engine.ordering.hooks import call, charged

LIMITS = st.integers(1, 4)
CROWDED = traffic(min_size=8, max_size=40)
TIGHT, ROOMY = 66, 100_000


def interactions(history: History) -> list[list[Request]]:
    """The calls of each interaction, in order."""
    calls: defaultdict[tuple[str, int | None], list[Request]] = defaultdict(list)
    for request in history.requests:
        calls[request.client, request.interaction].append(request)
    return list(calls.values())


def wasted_prompt_tokens(history: History) -> int:
    """Prompts of served calls of interactions of which some call was not served."""
    cut = [calls for calls in interactions(history) if any(call.status != FINISHED for call in calls)]
    return sum(call.prompt_tokens for calls in cut for call in calls if call.status == FINISHED)


def test_an_interaction_is_served_whole_or_not_begun(stage: Stage) -> None:
    def check(requests: list[Request], limit: int) -> None:
        history = stage.serve(requests, FairServe(limit=limit), TIGHT)
        for calls in interactions(history):
            if calls[0].admitted_s is not None:
                assert [call.status for call in calls] == [FINISHED] * len(calls)
            else:
                assert [call.status for call in calls] == [ABORTED] * len(calls)
        assert wasted_prompt_tokens(history) == 0

    stage.holds(80, check, CROWDED, LIMITS)


def test_it_does_drop_whole_interactions_where_dropping_any_call_wastes_some(stage: Stage) -> None:
    requests = [
        replace(request, interaction=nth // 3, call=1 + nth % 3, calls=3)
        for nth, request in enumerate(crowd([("a", 20, 8)], each=18))
    ]
    whole, cut = (stage.serve(requests, FairServe(limit=3, drop=drop), TIGHT) for drop in ("first", "any"))
    assert 0 < len(whole.finished()) < len(requests)
    assert wasted_prompt_tokens(whole) == 0 < wasted_prompt_tokens(cut)


def test_without_overload_nothing_is_dropped_whatever_the_limit(stage: Stage) -> None:
    def check(requests: list[Request], drop: str) -> None:
        policy = FairServe(limit=1, drop=drop)
        assert len(stage.serve(requests, policy, ROOMY).finished()) == len(requests)

    stage.holds(40, check, traffic(), st.sampled_from(("first", "any")))


@pytest.mark.parametrize(("charge", "cost"), [("whole", 1.0), ("ratio", 4.0)])
def test_a_request_as_long_as_its_application_expects_adds_its_priority(charge: str, cost: float) -> None:
    usual = Expected(input=30, system=5, output=10)
    request = call(1, prompt=35, output=10, system_tokens=5, expected=usual)
    weighted = {"w_s": 1.0} if charge == "whole" else {}
    assert charged(FairServe(charge=charge, priorities="a:3", **weighted), request) == pytest.approx(3 * cost)


def test_an_expected_request_served_by_the_engine_adds_one(stage: Stage) -> None:
    requests = [replace(request, system_tokens=5) for request in crowd([("a", 35, 10), ("b", 35, 10)], each=3)]
    assert service_of(stage, requests) == pytest.approx({"a": 3.0, "b": 3.0})


def test_doubling_all_lengths_and_expectations_changes_no_service(stage: Stage) -> None:
    def check(requests: list[Request], charge: str) -> None:
        at_once = [replace(request, arrival_s=0.0) for request in requests]
        service = service_of(stage, at_once, charge=charge)
        assert service_of(stage, [doubled(request) for request in at_once], charge=charge) == pytest.approx(service)

    stage.holds(40, check, traffic(max_size=16, max_prompt=30), st.sampled_from(("whole", "ratio")))


def service_of(stage: Stage, requests: Sequence[Request], **rules: Any) -> dict[str, float]:
    """S of every client that sent all of its requests at the start: nobody was lifted, and nobody is forgotten."""
    policy = FairServe(check="never", lift_from_empty=False, **rules)
    stage.serve(requests, policy, pool_tokens=300)
    return policy.counters


def doubled(request: Request) -> Request:
    assert request.expected is not None and request.prompt_ids is not None
    twice, usual = copy(request), request.expected
    twice.prompt_tokens, twice.output_tokens, twice.system_tokens = (
        2 * tokens for tokens in (request.prompt_tokens, request.output_tokens, request.system_tokens)
    )
    twice.prompt_ids = [*request.prompt_ids, *request.prompt_ids]
    twice.expected = Expected(2 * usual.input, 2 * usual.system, 2 * usual.output)
    return twice
