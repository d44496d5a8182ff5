"""What a policy remembers of clients that left."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import pytest

from engine.batching.vllm import VLLM
from engine.ordering.vtc import VTC
from engine.request import Request
from tests.engine.invariants.orders import ORDERS, make_order
from tests.engine.invariants.stages import SIMULATED
from tests.engine.invariants.traffic import crowd
from tests.engine.strategies import make_request

DAYS_S = 3 * 86_400.0
REMEMBERS = {order for order in ORDERS if "lift" in order}


def held(thing: object, seen: set[int]) -> int:
    """Entries of all containers that a policy reaches."""
    if id(thing) in seen or isinstance(thing, Request):
        return 0
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        return len(thing) + sum(held(value, seen) for value in thing.values())
    if isinstance(thing, (list, tuple, set, deque)):
        return len(thing) + sum(held(item, seen) for item in thing)
    return sum(held(value, seen) for value in vars(thing).values()) if of_a_policy(thing) else 0


def of_a_policy(thing: object) -> bool:
    return type(thing).__module__.startswith("engine.ordering") and hasattr(thing, "__dict__")


def state_after(order: str, guests: int) -> int:
    """What is held once ``guests`` clients came, one request each, and two others came back to be served days later."""
    policy = make_order(order)
    came = [guest(f"guest-{i}", 0.002 * i) for i in range(guests)]
    came += [guest(client, day * DAYS_S) for day in (1, 2) for client in ("a", "b") for _ in range(20)]
    for id, request in enumerate(came):
        request.id = id
    SIMULATED.serve(came, policy, batching=VLLM(max_sequences=2))
    return held(policy, set())


def guest(client: str, arrival_s: float) -> Request:
    return crowd([(client, 10, 5)], arrival_s=arrival_s)[0]


@pytest.mark.parametrize("order", ORDERS)
def test_no_more_is_held_after_more_clients_came_and_left(order: str) -> None:
    few, many = state_after(order, 40), state_after(order, 160)
    if order in REMEMBERS:
        assert many - few >= 120
    else:
        assert many - few <= 12


def test_what_a_client_had_is_not_forgotten_where_its_return_would_not_lift_it() -> None:
    """As in VTC's artifact nobody is lifted while nobody waits, so that the counter must still be there."""
    vtc = VTC(lift_from_empty=False)
    for id, (client, prompt) in enumerate((("a", 100), ("b", 150), ("b", 1))):
        request = make_request(id, client, prompt)
        vtc.enqueue(request)
        assert vtc.next(0.0) is request
        vtc.on_admit(request, 0.0)
        vtc.on_finish(request, 0.0)
    vtc.enqueue(make_request(3, "a"))
    assert vtc.counters["a"] == 100
