"""One line in order of arrival."""

from __future__ import annotations

from engine.ordering.fcfs import FCFS
from tests.engine.strategies import make_request


def test_requests_leave_in_order_of_arrival_whoever_sent_them() -> None:
    fcfs = FCFS()
    requests = [make_request(i, client) for i, client in enumerate("abbac")]
    for request in requests:
        assert fcfs.on_arrival(request, now=0.0) is None
    for left, request in enumerate(requests):
        assert len(fcfs) == len(requests) - left
        assert fcfs.next(0.0) is fcfs.next(0.0) is request
        fcfs.on_admit(request, 0.0)
    assert fcfs.next(0.0) is None


def test_preempted_requests_wait_at_the_head_in_their_old_order() -> None:
    fcfs = FCFS()
    first, second, third = (make_request(i) for i in range(3))
    fcfs.enqueue(third)
    for request in (second, first):
        fcfs.requeue(request)
    for request in (first, second, third):
        assert fcfs.next(0.0) is request
        fcfs.on_admit(request, 0.0)
