"""Steps that the tests of ordering policies share."""

from __future__ import annotations

from engine.ordering import Ordering
from engine.request import FINISHED, Request


def admit_next(policy: Ordering, now: float = 0.0) -> Request:
    request = policy.next(now)
    assert request is not None and policy.next(now) is request
    policy.on_admit(request, now)
    return request


def finish(policy: Ordering, request: Request, now: float = 0.0, status: str = FINISHED) -> None:
    request.status, request.produced = status, request.output_tokens
    policy.on_finish(request, now)


def order(policy: Ordering) -> list[int]:
    return [admit_next(policy).id for _ in range(len(policy))]
