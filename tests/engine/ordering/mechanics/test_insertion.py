"""Where a newcomer enters: by hand, and against a plain list."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ordering.mechanics.insertion import PartialQueue, by_rank, by_size
from tests.engine.strategies import make_request


@pytest.mark.parametrize(
    ("waiting", "priority", "place"),
    [
        ([0, 0, 0, 0], -3, 0),
        ([0, 0, 0, 0], 2, 4),
        ([-3, 0, 0, 2], 0, 4),
        ([], 5, 0),
        ([-1, -1, 5, 5, 5, 5], 0, 2),
        ([1, 1, 1, 1, 2], 1, 4),
    ],
)
def test_where_a_newcomer_enters(waiting: list[float], priority: float, place: int) -> None:
    assert place_of(priority, waiting, PartialQueue(by_rank(2.0), 50)) == place


def test_a_newcomer_passes_no_more_than_max_positions() -> None:
    assert place_of(-1, [0] * 9, PartialQueue(by_rank(2.0), 3)) == 6


@pytest.mark.parametrize(("priority", "place"), [(-50, 0), (-10, 6), (-2, 10), (0, 4), (1, 10)])
def test_how_far_the_continuous_form_moves(priority: float, place: int) -> None:
    """By |p| / 50 times two of the ten, 0.3 without a privilege; nobody has a larger number than 1."""
    assert place_of(priority, [1] * 10, PartialQueue(by_size(2.0, 50.0), 50)) == place


def place_of(priority: float, waiting: Sequence[float], line: PartialQueue) -> int:
    for i, level in enumerate(waiting):
        line.insert(make_request(i), level)
    newcomer = make_request(99)
    line.insert(newcomer, priority)
    order = drain(line)
    return order.index(99)


def drain(line: PartialQueue) -> list[int]:
    order = []
    while (head := line.head()) is not None:
        order.append(head.id)
        line.pop()
    return order


def test_nobody_passes_an_earlier_era_nor_a_preempted_request() -> None:
    line = PartialQueue(by_rank(2.0), 50)
    line.insert(make_request(0), 9, era=0)
    line.insert(make_request(1), 9, era=1)
    line.put_back(make_request(2))
    line.insert(make_request(3), -9, era=1)
    assert drain(line) == [2, 0, 3, 1]


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=40), st.integers(0, 6), st.floats(0, 3))
def test_insertion_is_that_of_a_plain_list(events: list[int | None], most: int, multiplier: float) -> None:
    line, plain = PartialQueue(by_rank(multiplier), most), list[tuple[int, int]]()
    for i, level in enumerate(events):
        if level is None:
            if plain:
                head = line.head()
                assert head is not None and head.id == plain.pop(0)[1]
                line.pop()
            continue
        distinct = {p for p, _ in plain}
        larger = sum(p > level for p, _ in plain)
        base = larger * (len(distinct | {level}) - sum(p < level for p in distinct)) // len(distinct | {level})
        plain.insert(len(plain) - int(min(base * multiplier, most, larger)), (level, i))
        line.insert(make_request(i), level)
    assert drain(line) == [i for _, i in plain]
