"""Metrics read value by value, and what is said of those that are not there."""

from __future__ import annotations

import polars as pl
import pytest

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, Claim, judge_one, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.figures.vocabulary import apart, bounded, equal, linear, near, off, times

LONG = Numbers(
    pl.DataFrame(
        [("vtc", "served", "b", 2.0, 4.0), ("vtc", "served", "a", 1.0, 3.0), ("vtc", "largest", None, None, 9.0)],
        ["system", "metric", "client", "time_s", "value"],
        orient="row",
    )
)
WIDE = Numbers(pl.DataFrame({"system": ["rpm", "rpm"], "limit": [10.0, 50.0], "aborted": [7, 5], "rank": [None, 2]}))


def test_a_metric_is_a_name_beside_its_value_or_a_column() -> None:
    assert LONG.at("vtc", "largest") == 9.0 and LONG.at("vtc", "served", client="a") == 3.0
    assert WIDE.at("rpm", "aborted", limit=50.0) == 5 and WIDE.over("rpm", "aborted", "limit", (50.0, 10.0)) == [5, 7]
    assert LONG.each("vtc", "served", "client") == {"a": 3.0, "b": 4.0}
    assert [part.tolist() for part in LONG.series("vtc", "served")] == [[1.0, 2.0], [3.0, 4.0]]
    assert LONG.mean("vtc", "served", 1.5, 2.5) == 4.0
    assert WIDE.at("rpm", "rank", undefined=0, limit=10.0) == 0


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (lambda: LONG.at("fcfs", "largest"), "fcfs's largest"),
        (lambda: WIDE.at("rpm", "aborted", limit=100.0), "rpm's aborted (limit 100)"),
        (lambda: WIDE.at("rpm", "rank", limit=10.0), "rpm's rank (limit 10)"),
        (lambda: WIDE.at("rpm", "rank", undefined=0, limit=100.0), "rpm's rank (limit 100)"),
        (lambda: LONG.each("vtc", "served", "client", least=3), "vtc's served, at least 3 values"),
        (lambda: LONG.mean("vtc", "served", 5, 6, client="a"), "vtc's served (client a) from 5 to 6 s"),
    ],
)
def test_what_is_not_there_is_named(read, named) -> None:
    with pytest.raises(MissingError) as found:
        read()
    assert str(found.value) == named


def test_a_claim_without_its_numbers_is_not_judged_and_says_what_it_needs() -> None:
    claim = Claim("X", "none aborted", {}, "none", lambda numbers: verdict(numbers.at("vtc", "aborted") == 0, ""))
    found = judge_one(claim, WIDE.frame)
    assert (found.status, found.ours) == (NOT_JUDGED, "needs vtc's aborted")


def test_the_words_that_claims_share() -> None:
    assert (times(6, 2), times(6, 0)) == (3, float("inf"))
    assert apart([9, 10, 11]) == pytest.approx(0.2) and off([11, 19], [10, 20]) == pytest.approx(0.1)
    assert (bounded(3, 4).status, bounded(4, 4).status) == (HOLDS, FAILS)
    assert (equal([98, 102], 0.05).status, equal([90, 110], 0.05).ours) == (HOLDS, "90, 110 (20.0 % apart)")
    assert (near([11], [10], 0.2).status, near([13], [10], 0.2).status) == (HOLDS, FAILS)
    ticks, rising = LONG.series("vtc", "served")
    assert (linear(ticks, rising, 0.9).status, linear(ticks, -rising, 0.9).status) == (HOLDS, FAILS)
