"""Reasons for not serving, a line a kind."""

from __future__ import annotations

import polars as pl

from exps.reasons import reasons_by_kind


def refused(*reasons):
    return pl.DataFrame({"status": ["rejected"] * len(reasons), "reason": list(reasons)})


def test_lengths_become_a_range():
    found = reasons_by_kind(refused(*(f"{n} tokens do not fit the model's context of 4096" for n in range(8001, 8354))))
    assert found == [(353, "8001 to 8353 tokens do not fit the model's context of 4096")]


def test_names_are_counted_and_what_is_equal_stands():
    reasons = [f"client user-{n} sent more than 10 requests within a minute" for n in range(7)]
    assert reasons_by_kind(refused(*reasons, *reasons)) == [
        (14, "client (one of 7) sent more than 10 requests within a minute")
    ]
    assert reasons_by_kind(refused(*reasons[:1])) == [(1, "client user-0 sent more than 10 requests within a minute")]


def test_kinds_stand_apart_most_first():
    found = reasons_by_kind(refused("a pool of 5", "its client gave up after 30 s", "its client gave up after 30 s"))
    assert found == [(2, "its client gave up after 30 s"), (1, "a pool of 5")]


def test_who_was_served_has_none():
    schema = {"status": pl.String, "reason": pl.String}
    assert reasons_by_kind(pl.DataFrame({"status": ["finished"], "reason": [None]}, schema)) == []
