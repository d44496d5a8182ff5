"""Service over time: hand-made intervals and properties."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exps.metrics.service import (
    accumulated_difference,
    delivered,
    largest_backlogged_change,
    largest_difference,
    response_intervals,
    service_rate,
    step_intervals,
)


@pytest.fixture
def two_clients(make_requests):
    """a: 20 units over [1, 3]; b: 20 units over [4, 5]; c: rejected."""
    return make_requests(
        {"client": "a", "first_token_s": 1.0, "finished_s": 3.0},
        {"client": "b", "first_token_s": 4.0, "finished_s": 5.0},
        {"client": "c", "status": "rejected", "first_token_s": None, "finished_s": None},
    )


def test_delivered_spreads_a_response_evenly(two_clients):
    intervals = response_intervals(two_clients)
    assert intervals["service"].to_list() == [20, 20]
    curves = delivered(intervals, np.array([0.0, 2.0, 3.0, 4.5, 9.0]), ["a", "b", "c"])
    np.testing.assert_allclose(curves, [[0, 10, 20, 20, 20], [0, 0, 0, 10, 20], [0, 0, 0, 0, 0]], atol=1e-9)


def test_differences(two_clients):
    intervals = response_intervals(two_clients)
    ticks = np.array([2.0, 4.5])
    np.testing.assert_allclose(accumulated_difference(intervals, ticks), [10, 10], atol=1e-9)
    np.testing.assert_allclose(accumulated_difference(intervals, ticks, ["a", "b", "c"]), [10, 20], atol=1e-9)
    assert largest_difference(intervals) == pytest.approx(20)
    assert largest_difference(intervals, until_s=2.0) == pytest.approx(10)


def test_rate_is_what_falls_into_the_window(two_clients):
    rates = service_rate(response_intervals(two_clients), np.array([3.0]), window_s=4.0)
    np.testing.assert_allclose(rates, [[20 / 4], [20 / 4]])
    rates = service_rate(response_intervals(two_clients), np.array([2.0]), window_s=1.0)
    np.testing.assert_allclose(rates, [[10], [0]], atol=1e-9)


def test_a_response_of_one_token_arrives_at_once(make_requests):
    one = make_requests({"output_tokens": 1, "first_token_s": 2.0, "finished_s": 2.0})
    np.testing.assert_allclose(delivered(response_intervals(one), np.array([1.9, 2.0])), [[0, 12]])


def test_steps_are_exact():
    steps = pl.DataFrame(
        {"client": ["a", "a"], "start_s": [0.0, 2.0], "end_s": [1.0, 4.0], "steps": [1, 4], "prompt_tokens": [8, 0],
         "output_tokens": [1, 4]}
    )
    curves = delivered(step_intervals(steps), np.array([0.5, 1.5, 3.0, 4.0]))
    np.testing.assert_allclose(curves, [[5, 10, 14, 18]], atol=1e-9)


spans = st.tuples(st.sampled_from("abc"), st.floats(0, 500), st.floats(0, 50), st.floats(1, 1000))


@given(st.lists(spans, min_size=1, max_size=30))
def test_delivered_grows_to_all_there_is(rows):
    intervals = pl.DataFrame(
        {
            "client": [row[0] for row in rows],
            "start_s": [row[1] for row in rows],
            "end_s": [row[1] + row[2] for row in rows],
            "service": [row[3] for row in rows],
        }
    )
    curves = delivered(intervals, np.linspace(0, 600, 50))
    assert (np.diff(curves, axis=1) >= -1e-3).all()
    totals = intervals.group_by("client").agg(pl.col("service").sum()).sort("client")["service"].to_numpy()
    np.testing.assert_allclose(curves[:, -1], totals, rtol=1e-6)


def test_the_backlogged_change_counts_only_while_both_wait(make_requests):
    """Client b asks for nothing until 10 s; from then to 20 s both wait and a is served twice as fast."""
    requests = make_requests(
        {"client": "a", "arrival_s": 0.0, "admitted_s": 20.0},
        {"client": "b", "arrival_s": 10.0, "admitted_s": 20.0},
    )
    intervals = pl.DataFrame(
        {"client": ["a", "a", "b"], "start_s": [0.0, 10.0, 10.0], "end_s": [10.0, 20.0, 20.0], "service": [900.0, 40.0, 20.0]}
    )
    assert largest_difference(intervals) == pytest.approx(920)
    assert largest_backlogged_change(requests, intervals, 100.0, ["a", "b"]) == pytest.approx(20)
    assert largest_backlogged_change(requests, intervals, 9.0, ["a", "b"]) == 0


@pytest.mark.parametrize(("status", "waits"), [("rejected", False), ("aborted", False), ("unfinished", True)])
def test_what_was_turned_away_or_given_up_never_waits(make_requests, status, waits):
    lost = {"client": "b", "arrival_s": 0.0, "admitted_s": None, "first_token_s": None, "finished_s": None, "status": status}
    requests = make_requests({"client": "a", "arrival_s": 0.0, "admitted_s": 20.0}, lost)
    intervals = pl.DataFrame({"client": ["a"], "start_s": [0.0], "end_s": [20.0], "service": [500.0]})
    change = largest_backlogged_change(requests, intervals, 100.0, ["a", "b"])
    assert change == (pytest.approx(500) if waits else 0)
