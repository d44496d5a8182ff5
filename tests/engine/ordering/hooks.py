"""FairServe's hooks as its tests call them."""

from __future__ import annotations

from typing import Any

from engine.ordering.fairserve import FairServe
from engine.request import Expected, Request
from tests.engine.strategies import make_request

USUAL = Expected(input=100, system=50, output=20)


def call(id: int, client: str = "a", interaction: int | None = 1, call: int = 1, calls: int = 1, **rest: Any) -> Request:
    return make_request(id, client, interaction=interaction, call=call, calls=calls, **{"expected": USUAL, **rest})


def arrive(policy: FairServe, *requests: Request, now: float = 0.0) -> None:
    assert [policy.on_arrival(request, now) for request in requests] == [None] * len(requests)


def head(policy: FairServe, now: float = 0.0) -> Request:
    request = policy.next(now)
    assert request is not None and policy.next(now) is request
    return request


def admit(policy: FairServe, now: float = 0.0) -> Request:
    request = head(policy, now)
    policy.on_admit(request, now)
    return request


def block(policy: FairServe, now: float = 0.0) -> list[tuple[int, str]]:
    """The next request does not fit. Returns what was dropped for it."""
    policy.on_pass(now)
    policy.on_blocked(head(policy, now), now)
    return dropped(policy)


def dropped(policy: FairServe) -> list[tuple[int, str]]:
    return [(request.id, reason) for request, reason in policy.take_dropped()]


def finish(policy: FairServe, request: Request, now: float = 0.0) -> None:
    request.produced = request.output_tokens
    policy.on_finish(request, now)


def charged(policy: FairServe, request: Request) -> float:
    """What a whole request costs, each decode step with one token."""
    arrive(policy, request)
    admit(policy)
    if policy.by_request:
        for before in range(request.output_tokens):
            ends = before == request.output_tokens - 1
            policy.on_request_tokens([(request, before, 1)], first=before == 0, finished=int(ends))
    finish(policy, request)
    return policy.counters[request.client]


def preempt(policy: FairServe, request: Request) -> None:
    request.preemptions += 1
    policy.requeue(request)
