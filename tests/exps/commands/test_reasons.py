"""Reasons for not serving, a line a kind."""

from __future__ import annotations

import polars as pl

from exps.commands.reasons import reasons_by_kind


def refused(*reasons, clients=None):
    clients = clients or ["a"] * len(reasons)
    columns = {"status": ["rejected"] * len(reasons), "reason": list(reasons), "client": clients}
    return pl.DataFrame({**columns, "app": [None] * len(reasons)}, schema_overrides={"app": pl.String})


def test_lengths_become_a_range():
    found = reasons_by_kind(refused(*(f"{n} tokens do not fit the model's context of 4096" for n in range(8001, 8354))))
    assert found == [(353, "8,001 to 8,353 tokens do not fit the model's context of 4,096")]


def test_names_are_counted_and_what_is_equal_stands():
    reasons = [f"client user-{n} sent more than 10 requests within a minute" for n in range(7)]
    clients = [f"user-{n}" for n in range(7)]
    assert reasons_by_kind(refused(*reasons, *reasons, clients=clients * 2)) == [
        (14, "client (one of 7) sent more than 10 requests within a minute")
    ]
    alone = reasons_by_kind(refused(*reasons[:1], clients=clients[:1]))
    assert alone == [(1, "client user-0 sent more than 10 requests within a minute")]


def test_kinds_stand_apart_most_first():
    found = reasons_by_kind(refused("a pool of 5", "its client gave up after 30 s", "its client gave up after 30 s"))
    assert found == [(2, "its client gave up after 30 s"), (1, "a pool of 5")]


def test_who_was_served_has_none():
    frame = refused("").with_columns(status=pl.lit("finished"), reason=pl.lit(None, pl.String))
    assert reasons_by_kind(frame) == []


def test_a_name_may_hold_anything():
    clients = ["team 5", "team #", "team @ 7", "a, b", "[x] sent 3"]
    reasons = [f"client {client} sent more than 10 requests within a minute" for client in clients]
    found = reasons_by_kind(refused(*reasons, clients=clients))
    assert found == [(5, "client (one of 5) sent more than 10 requests within a minute")]


def test_interactions_are_counted_not_ranged():
    found = reasons_by_kind(refused(*(f"an earlier call of interaction {n} was rejected" for n in (3, 90))))
    assert found == [(2, "an earlier call of interaction (one of 2) was rejected")]
