"""Who wants which adapter, and where its weights are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.queue import Queue
from engine.adapters.residency import Residency
from engine.errors import InputError
from tests.engine.adapters.queues import ORDER, queue_of, wanting


@given(st.dictionaries(st.integers(0, 30), st.sampled_from("abc"), max_size=20), st.randoms(use_true_random=False))
def test_a_queue_is_a_sorted_list(arrivals, random):
    requests = [wanting(name, first=arrival)[0] for arrival, name in arrivals.items()]
    queue, gone = Queue(ORDER.fixed_place), random.sample(requests, len(requests) // 2)
    for request in requests:
        queue.add(request)
    for request in gone:
        queue.remove(request)
    left = sorted((request for request in requests if request not in gone), key=lambda request: request.arrival_s)
    assert queue.first(99) == left and queue.first(2) == left[:2] and len(queue) == len(left)
    for name in "abc":
        assert queue.of(name) == [request for request in left if request.adapter == name]
        assert queue.count(name) == len(queue.of(name))


def test_the_most_wanted_adapter_and_of_several_the_first():
    queue = queue_of("abbaac")
    assert queue.most("abc") == "a" and queue.most("bc") == "b" and queue.most("x") is None
    assert queue_of("baab").most("ab") == "b"


def test_residents_with_fewest_requests_give_way():
    slots = Residency(slots=3, pinned=9)
    assert slots.bring("abc", {}) == (("a", "b", "c"), ("a", "b", "c"))
    assert slots.bring("ad", {"a": 1, "b": 5, "c": 2, "d": 1}) == (("d",), ("d",))
    assert list(slots.resident) == ["a", "b", "d"]
    assert slots.bring("c", {"b": 5, "d": 1}) == (("c",), ())
    with pytest.raises(InputError, match="4 adapters are wanted in 3 slots"):
        slots.bring("abcd", {})


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(0, 3), st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), max_size=30))
def test_memory_is_never_over_committed(slots, more, wanted):
    memory = Residency(slots, slots + more)
    for names in wanted:
        names = sorted(names)[:slots]
        copied, read = memory.bring(names, {})
        memory.check()
        assert set(names) <= set(memory.resident) and set(read) <= set(copied) <= set(names)
