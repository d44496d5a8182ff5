"""The difference between many clients by envelopes, beside a plain version that asks every client at every tick."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exps.metrics.envelope import Polylines, _distinct
from exps.metrics.service import accumulated_difference, delivered, largest_difference

CLIENTS = [f"c{number}" for number in range(9)]
spans = st.tuples(
    st.sampled_from(CLIENTS),
    st.integers(0, 6000).map(lambda number: number / 100),
    st.integers(0, 300).map(lambda number: number / 10),
    st.integers(1, 900),
)


def plain(intervals: pl.DataFrame, ticks: np.ndarray) -> np.ndarray:
    """Each client's service by each tick, interval after interval."""
    totals = np.zeros((len(CLIENTS), len(ticks)))
    for client, start, end, service in intervals.rows():
        share = np.clip((ticks - start) / (end - start), 0, 1) if end - start > 1e-6 else (ticks >= end).astype(float)
        totals[CLIENTS.index(client)] += service * share
    return totals


@settings(max_examples=300, deadline=None)
@given(st.lists(spans, min_size=1, max_size=40))
@example([("c0", 0.01, 0.1, 1), ("c1", 0.0, 0.1, 1), ("c1", 0.02, 0.0, 1)])
def test_envelopes_equal_the_plain_way(rows: list[tuple[str, float, float, int]]) -> None:
    intervals = pl.DataFrame(
        [(client, start, start + lasts, float(service)) for client, start, lasts, service in rows],
        schema=["client", "start_s", "end_s", "service"], orient="row",
    )
    bends = np.unique(np.concatenate([intervals["start_s"].to_numpy(), intervals["end_s"].to_numpy()]))
    totals = plain(intervals, bends)
    np.testing.assert_allclose(delivered(intervals, bends, CLIENTS), totals, atol=1e-6)
    difference = totals.max(axis=0) - totals.min(axis=0)
    np.testing.assert_allclose(accumulated_difference(intervals, bends, CLIENTS), difference, atol=1e-6)


def test_ten_thousand_clients_are_one_merge_after_the_other() -> None:
    """Client k has k tokens in a second that begins at k: at the end the last has most and the first none."""
    many = 10_000
    numbers = np.arange(many, dtype=np.float64)
    intervals = pl.DataFrame(
        {"client": [f"c{number}" for number in range(many)], "start_s": numbers, "end_s": numbers + 1, "service": numbers}
    )
    assert largest_difference(intervals) == many - 1
    assert accumulated_difference(intervals, np.array([5000.0]))[0] == 4999


def test_of_corners_at_one_time_of_one_curve_the_last_stays():
    lines = _distinct(Polylines(np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])))
    assert lines.owner.tolist() == [0, 0, 1] and lines.value.tolist() == [1.0, 3.0, 4.0]
