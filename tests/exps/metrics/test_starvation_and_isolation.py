"""Starvation and isolation, beside plain versions that walk through time."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exps.metrics.isolation import isolation, modest_clients
from exps.metrics.starvation import starvation_s

TICK = 0.5


def starvation_of(frame: pl.DataFrame, client: str) -> float:
    return float(starvation_s(frame).filter(pl.col("client") == client)["starvation_s"].item())


def longest_walk(frame: pl.DataFrame) -> float:
    """Tick by tick: the longest run of ticks in which somebody waits and nobody runs. Times are whole ticks."""
    rows = frame.select("arrival_s", "admitted_s", "finished_s").rows()
    longest = run = 0.0
    for tick in range(int(max(end for _, _, end in rows) / TICK)):
        at = tick * TICK
        waits = any(came <= at < taken for came, taken, _ in rows)
        runs = any(taken <= at < end for _, taken, end in rows)
        run = run + TICK if waits and not runs else 0.0
        longest = max(longest, run)
    return longest


def test_a_client_starves_from_its_arrival_or_its_last_end_to_its_admission(make_requests):
    frame = make_requests(
        {"arrival_s": 0.0, "admitted_s": 3.0, "finished_s": 5.0},
        {"arrival_s": 1.0, "admitted_s": 9.0, "finished_s": 10.0},
    )
    assert starvation_of(frame, "a") == 4.0


def test_who_runs_does_not_starve(make_requests):
    frame = make_requests(
        {"arrival_s": 0.0, "admitted_s": 0.0, "finished_s": 20.0},
        {"arrival_s": 1.0, "admitted_s": 15.0, "finished_s": 16.0},
    )
    assert starvation_of(frame, "a") == 0.0


def test_the_unfinished_starve_to_the_end_and_the_rejected_not_at_all(make_requests):
    frame = make_requests(
        {"client": "a", "arrival_s": 0.0, "admitted_s": 0.0, "finished_s": 12.0},
        {"client": "b", "arrival_s": 2.0, "admitted_s": None, "finished_s": None, "status": "unfinished"},
        {"client": "c", "arrival_s": 2.0, "admitted_s": None, "finished_s": None, "status": "rejected"},
    )
    assert starvation_of(frame, "b") == 10.0
    assert starvation_of(frame, "c") == 0.0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=12))
def test_starvation_equals_a_walk_through_time(spans):
    times = [(TICK * came, TICK * (came + wait), TICK * (came + wait + length)) for came, wait, length in spans]
    columns = dict(zip(("arrival_s", "admitted_s", "finished_s"), zip(*times, strict=True), strict=True))
    frame = pl.DataFrame(columns).with_columns(client=pl.lit("a"), status=pl.lit("finished"))
    assert starvation_of(frame, "a") == longest_walk(frame)


@pytest.fixture
def overloaded(make_requests):
    """A modest client and a greedy one, whose waits are given in seconds."""

    def one(client: str, came_s: float, wait_s: float) -> dict[str, object]:
        return {"client": client, "arrival_s": came_s, "first_token_s": came_s + wait_s, "finished_s": came_s + wait_s + 1}

    def make(modest_s: float, greedy_s: float) -> pl.DataFrame:
        modest = [one("modest", float(second), modest_s) for second in (1, 9)]
        return make_requests(*modest, *(one("greedy", float(second), greedy_s) for second in range(10)))

    return make


def test_clients_below_an_equal_share_are_modest(overloaded):
    assert modest_clients(overloaded(1.0, 1.0)) == ["modest"]


def test_isolation_is_one_without_waiting_zero_when_all_wait_alike_and_negative_when_the_modest_wait_longer(overloaded):
    assert isolation(overloaded(0.0, 2.0)) == 1.0
    assert isolation(overloaded(2.0, 2.0)) == 0.0
    assert isolation(overloaded(3.0, 2.0)) == pytest.approx(-0.5)


def test_without_a_modest_client_there_is_no_isolation(make_requests):
    frame = make_requests({"client": "a", "arrival_s": 0.0}, {"client": "b", "arrival_s": 0.0})
    assert modest_clients(frame) == [] and isolation(frame) is None
