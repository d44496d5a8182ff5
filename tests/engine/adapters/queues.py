"""Queues of requests for a few adapters."""

from __future__ import annotations

from engine.adapters.queue import Queue
from engine.ordering.fcfs import FCFS
from engine.request import Request
from tests.engine.strategies import make_request

ORDER = FCFS()


def wanting(adapters: str, first: int = 0) -> list[Request]:
    """A request a letter, in order of arrival."""
    return [make_request(first + i, arrival_s=float(first + i), adapter=name) for i, name in enumerate(adapters)]


def queue_of(adapters: str) -> Queue:
    queue = Queue(ORDER.fixed_place)
    for request in wanting(adapters):
        queue.add(request)
    return queue


def named(requests) -> str:
    return "".join(request.adapter for request in requests)
