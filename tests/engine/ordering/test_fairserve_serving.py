"""FairServe in the simulated engine: nothing wasted, nothing dropped without need, every member with every batching."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from copy import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.ordering.fairserve import FairServe
from engine.ordering.fairserve.family import ARTIFACT_FLAWS, FS_FAMILY
from engine.request import ABORTED, FINISHED, REJECTED, Expected, Request
from engine.speculation.adaserve import AdaServe
from tests.engine.strategies import Served, make_request, serve

POOL = 150
BATCHINGS: dict[str, Any] = {
    "slora": lambda: SLoRA(adapter_tokens=2, longest_request=60, late_arrivals=False),
    "vllm": lambda: VLLM(block_size=4),
    "sarathi": lambda: Sarathi(block_size=4, token_budget=32),
}
USUAL = {"mail": Expected(30, 5, 10), "chat": Expected(10, 20, 20)}


@st.composite
def interactions(draw: st.DrawFn, max_size: int = 30, max_gap_s: float = 0.05) -> list[Request]:
    """Requests in order of arrival; the calls of a client's interaction follow one another, not all of them need to come."""
    rows = draw(
        st.lists(
            st.tuples(st.floats(0, max_gap_s), st.sampled_from(("client-1", "client-2", "client-3")), st.booleans(),
                      st.integers(1, 4), st.sampled_from(sorted(USUAL)), st.integers(5, 60), st.integers(1, 20)),
            min_size=1, max_size=max_size,
        )
    )
    requests: list[Request] = []
    under_way: dict[str, Request] = {}
    arrival_s = 0.0
    for id, (gap, client, goes_on, calls, app, prompt, output) in enumerate(rows):
        arrival_s += gap
        before = under_way.get(client)
        call, interaction = 1, id
        if before and goes_on and before.call < before.calls:  # type: ignore[operator]
            call, calls, interaction = before.call + 1, before.calls or 1, before.interaction or 0  # type: ignore[operator]
        request = make_request(
            id, client, prompt, output, arrival_s=arrival_s, app=app, interaction=interaction, call=call, calls=calls,
            system_tokens=5, app_limit=6, expected=USUAL[app],
        )
        under_way[client] = request
        requests.append(request)
    return requests


def crowd(clients: int = 3, each: int = 12, calls: int = 3) -> list[Request]:
    """Everything at once: ``each`` requests of every client, ``calls`` to an interaction."""
    return [
        make_request(
            client * each + nth, f"client-{client}", 40, 15, app="mail", interaction=nth // calls, call=1 + nth % calls,
            calls=calls, system_tokens=5, app_limit=1000, expected=USUAL["mail"],
        )
        for client in range(clients)
        for nth in range(each)
    ]


def by_interaction(requests: Sequence[Request]) -> list[list[Request]]:
    groups: defaultdict[tuple[str, int | None], list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.client, request.interaction].append(request)
    return list(groups.values())


def wasted_tokens(requests: Sequence[Request]) -> int:
    """Prompt tokens of served calls in interactions that have a call which was not served."""
    cut = [calls for calls in by_interaction(requests) if any(call.status != FINISHED for call in calls)]
    return sum(call.prompt_tokens for calls in cut for call in calls if call.status == FINISHED)


def assert_ended(served: Served) -> None:
    """Every request was heard of once; the pool is whole, and whatever was not served says why."""
    pool = served.engine.running.pool
    assert sorted(request.id for request in served.log.done) == [request.id for request in served.requests]
    assert pool.free == pool.capacity and len(served.engine.ordering) == 0
    for request in served.requests:
        if request.status == FINISHED:
            assert request.generated == request.output_tokens
        else:
            assert request.status in (ABORTED, REJECTED) and request.reason and request.generated == 0


def statuses(requests: Sequence[Request]) -> Counter[str]:
    return Counter(request.status for request in requests)


def entered(served: Served) -> list[tuple[int, float | None]]:
    return [(request.id, request.admitted_s) for request in served.requests]


@pytest.mark.parametrize("batching", BATCHINGS)
@settings(max_examples=60, deadline=None)
@given(requests=interactions(), limit=st.integers(1, 4), prefer=st.booleans())
def test_no_interaction_is_cut_and_nothing_is_wasted(batching: str, requests: list[Request], limit: int, prefer: bool) -> None:
    served = serve([copy(r) for r in requests], BATCHINGS[batching](), FairServe(limit=limit, prefer=prefer), pool_tokens=POOL)
    assert_ended(served)
    for calls in by_interaction(served.requests):
        assert len({call.status for call in calls}) == 1
        assert calls[0].call == 1
    assert wasted_tokens(served.requests) == 0


@pytest.mark.parametrize("batching", BATCHINGS)
def test_in_a_crowd_fairserve_drops_whole_interactions_where_others_waste(batching: str) -> None:
    waste = {}
    for name in ("fs-fair-interaction-limit-expect", "fs-fair-odt-wsc-limit"):
        served = serve(crowd(), BATCHINGS[batching](), FairServe(**FS_FAMILY[name], limit=5), pool_tokens=POOL)
        assert_ended(served)
        assert statuses(served.requests)[ABORTED] > 0 and statuses(served.requests)[FINISHED] > 0
        waste[name] = wasted_tokens(served.requests)
    assert waste["fs-fair-interaction-limit-expect"] == 0 < waste["fs-fair-odt-wsc-limit"]


@settings(max_examples=40, deadline=None)
@given(requests=interactions())
def test_without_overload_nothing_is_dropped(requests: list[Request]) -> None:
    served = serve(requests, BATCHINGS["slora"](), FairServe(limit=1, app_limits=False), pool_tokens=100_000)
    assert statuses(served.requests) == {FINISHED: len(requests)}


@settings(max_examples=40, deadline=None)
@given(requests=interactions(), charge=st.sampled_from(("whole", "ratio")))
def test_limits_above_any_rate_leave_the_order_of_the_counters_alone(requests: list[Request], charge: str) -> None:
    free, limited = (
        serve(
            [copy(r) for r in requests],
            BATCHINGS["slora"](),
            FairServe(charge=charge, app_limits=False, **rules),
            pool_tokens=POOL,
        )
        for rules in ({"check": "never"}, {"limit": 1000})
    )
    assert entered(free) == entered(limited)
    assert statuses(limited.requests) == {FINISHED: len(requests)}


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("flaws", [{}, {**ARTIFACT_FLAWS, "interactions_by_number": True}], ids=["sound", "flawed"])
@pytest.mark.parametrize("member", FS_FAMILY)
def test_every_member_serves_with_every_batching(member: str, flaws: dict[str, Any], batching: str) -> None:
    policy = FairServe(**{**FS_FAMILY[member], **flaws, "limit": 5})
    served = serve(crowd(each=30), BATCHINGS[batching](), policy, pool_tokens=POOL)
    assert_ended(served)
    lost = statuses(served.requests)[ABORTED] + statuses(served.requests)[REJECTED]
    throttles = FS_FAMILY[member].get("check") != "never"
    spares = FS_FAMILY[member].get("rpm_debt") == "repaid"
    assert (lost > 0) is (throttles and not spares)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_it_composes_with_speculation(batching: str) -> None:
    requests = crowd()
    for request in requests:
        request.slo_tpot_s = 0.02
    served = serve(requests, BATCHINGS[batching](), FairServe(limit=5, charge="ratio"), AdaServe(), pool_tokens=400)
    assert_ended(served)
    assert sum(request.accepted_tokens for request in requests) > 0


def test_the_family_has_the_eleven_schedulers_of_the_artifact() -> None:
    assert len(FS_FAMILY) == 11
    assert len({str(sorted(rules.items())) for rules in FS_FAMILY.values()}) == 11
    assert FairServe(**FS_FAMILY["fs-fair-interaction-limit-expect"]).rules == FairServe().rules


def held(thing: object, seen: set[int]) -> int:
    """Entries in all containers that a policy reaches."""
    if id(thing) in seen or isinstance(thing, (str, int, float, Request, Expected)) or callable(thing):
        return 0
    seen.add(id(thing))
    if isinstance(thing, dict):
        return len(thing) + sum(held(value, seen) for value in thing.values())
    if hasattr(thing, "__iter__"):
        items = list(thing)
        return len(items) + sum(held(item, seen) for item in items)
    return sum(held(value, seen) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 0


@pytest.mark.parametrize("member", [name for name in FS_FAMILY if name != "fs-fair-overload-limit"])
def test_clients_that_left_leave_nothing_behind(member: str) -> None:
    policy = FairServe(**FS_FAMILY[member], limit=5)
    requests = crowd(clients=80, each=9)
    served = serve(requests, BATCHINGS["slora"](), policy, pool_tokens=POOL)
    assert_ended(served)
    full = held(policy, set())
    later = served.engine.clock.now
    for visitor in range(3):
        later += 100.0
        last = make_request(1000 + visitor, f"client-{99 + visitor}", expected=USUAL["mail"], app="mail", app_limit=1000)
        assert policy.on_arrival(last, later) is None
        policy.counters[last.client] += 1e6
        policy.on_pass(later)
        assert policy.next(later) is last
        policy.on_admit(last, later)
        policy.on_finish(last, later)
    assert held(policy, set()) < 60
    assert full > 300 or member == "fs-fair", "only this one has no more to remember than who runs or waits"
