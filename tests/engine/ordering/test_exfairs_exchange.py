"""Who gives way to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.ordering.exfairs.exchange import widest_pairs


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.integers(1, 3), st.floats(0, 0.5))
def test_pairs_are_the_extremes_of_those_left(values: list[float], each: int, above: float) -> None:
    """Against the loop as it is described: sort the eligible, take both ends, count, repeat."""
    ratios = {str(i): value for i, value in enumerate(values)}
    used = dict.fromkeys(ratios, 0)
    expected = []
    for _ in range(len(ratios)):
        left = sorted((client for client in ratios if used[client] < each), key=ratios.__getitem__)
        if len(left) < 2 or not ratios[left[-1]] - ratios[left[0]] > above:
            break
        expected.append((left[0], left[-1], ratios[left[-1]] - ratios[left[0]]))
        used[left[0]] += 1
        used[left[-1]] += 1
    assert list(widest_pairs(ratios, len(ratios), each, above)) == expected
