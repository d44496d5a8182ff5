"""A server that reads its socket only while it waits for the model."""

from __future__ import annotations

import pytest

from engine.batching.slora import SLoRA
from engine.request import FINISHED
from tests.engine.strategies import make_request, serve


def admitted(output: int, reads: float, **parameters: float) -> list[int]:
    """Requests in each prefill of forty that were all sent at once."""
    requests = [make_request(i, output=output) for i in range(40)]
    batching = SLoRA(decodes_between_admissions=1, late_arrivals=False, reads_per_wait=reads, **parameters)
    return [len(step.chunks) for step in serve(requests, batching, pool_tokens=100_000).seen if step.chunks]


def test_each_wait_for_the_model_reads_so_many_requests() -> None:
    """One wait for a decode step, two for a prefill, one more where a batch runs that it joins."""
    assert admitted(output=30, reads=1.0)[:4] == [1, 3, 4, 4]
    assert admitted(output=30, reads=2.0)[:4] == [2, 6, 8, 8]


def test_letting_requests_go_is_a_wait_too() -> None:
    assert admitted(output=2, reads=1.0)[:3] == [1, 4, 4]


def test_a_part_of_a_request_is_read_with_a_later_one() -> None:
    assert admitted(output=30, reads=0.5)[:5] == [1, 1, 2, 2, 2]


def test_what_was_not_needed_is_not_saved_up() -> None:
    requests = [make_request(0, output=60)] + [make_request(i, output=30, arrival_s=0.2) for i in range(1, 41)]
    batching = SLoRA(decodes_between_admissions=1, late_arrivals=False, reads_per_wait=1.0)
    prefills = [len(step.chunks) for step in serve(requests, batching, pool_tokens=100_000).seen if step.chunks]
    assert prefills[:2] == [1, 2] and max(prefills) <= 5


def test_a_server_that_is_never_short_of_time_reads_all() -> None:
    requests = [make_request(i, output=30) for i in range(40)]
    served = serve(requests, SLoRA(longest_request=10_000), pool_tokens=100_000)
    assert len(served.seen[0].chunks) == 40


@pytest.mark.parametrize("reads", [0.1, 0.7, 3.0])
def test_every_request_is_served_however_slowly_they_are_read(reads: float) -> None:
    requests = [make_request(i, output=3, arrival_s=0.05 * i) for i in range(60)]
    serve(requests, SLoRA(reads_per_wait=reads), pool_tokens=1000)
    assert {request.status for request in requests} == {FINISHED}


def test_it_must_read_something() -> None:
    with pytest.raises(ValueError, match="reads_per_wait must be above 0"):
        SLoRA(reads_per_wait=0)
