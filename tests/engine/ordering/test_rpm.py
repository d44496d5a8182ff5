"""Requests a minute, and what becomes of the rest of an interaction."""

from __future__ import annotations

import pytest

from engine.ordering.rpm import RPM
from engine.request import Request


def call(number: int, of: int, client: str = "a", interaction: int = 1, id: int = 0) -> Request:
    request = Request(id or 10 * interaction + number, client, 8, 4, 0.0, interaction=interaction, call=number)
    request.calls = of
    return request


def test_without_a_limit_of_its_own_a_client_may_send_180_a_minute():
    queue = RPM()
    reasons = [queue.on_arrival(Request(i, "a", 8, 4, 0.0), 0.0) for i in range(181)]
    assert reasons[:180] == [None] * 180 and "more than 180" in str(reasons[180])


@pytest.mark.parametrize(("follow", "served"), [(False, [11, 13]), (True, [11])])
def test_calls_after_a_rejected_one_are_dropped_when_their_turn_comes(follow, served):
    queue = RPM(limit=1, follow=follow)
    first, second, third = (call(number, 3) for number in (1, 2, 3))
    assert queue.on_arrival(first, 0.0) is None
    queue.on_admit(first, 0.0)
    assert queue.on_arrival(second, 1.0) is not None
    assert queue.on_arrival(third, 61.0) is None
    admitted = [11]
    while (request := queue.next(61.0)) is not None:
        queue.on_admit(request, 61.0)
        admitted.append(request.id)
    assert admitted == served
    dropped = queue.take_dropped()
    assert [request.id for request, _ in dropped] == ([13] if follow else [])
    assert all("earlier call of interaction 1 was rejected" in reason for _, reason in dropped)
    assert len(queue) == 0 and queue.take_dropped() == []


def test_another_clients_interaction_of_the_same_number_goes_on():
    queue = RPM(limit=1, follow=True)
    queue.on_arrival(call(1, 2), 0.0)
    queue.on_arrival(call(2, 2), 0.0)
    queue.on_arrival(call(1, 2, client="b", id=99), 0.0)
    queue.on_admit(queue.next(0.0), 0.0)
    assert queue.next(0.0) is not None and queue.next(0.0).client == "b"


def test_a_call_that_has_run_is_not_dropped():
    queue = RPM(limit=1, follow=True)
    first = call(1, 2)
    queue.on_arrival(first, 0.0)
    queue.on_admit(queue.next(0.0), 0.0)
    queue.on_arrival(call(2, 2), 0.0)
    first.preemptions = 1
    queue.requeue(first)
    assert queue.next(0.0) is first and queue.take_dropped() == []


@pytest.mark.parametrize(("given", "says"), [({"limit": 0}, "at least 1"), ({"follow": 1}, "true or false")])
def test_a_wrong_parameter_is_named(given, says):
    with pytest.raises(ValueError, match=says):
        RPM(**given)
