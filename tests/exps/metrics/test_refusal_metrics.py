"""Whoever turns everybody away does not look fair."""

from __future__ import annotations

import polars as pl

from exps.metrics.fairness import fairness


def records(statuses):
    """Client a sends long prompts and client b short ones, every second; a refused request has no times."""
    rows = []
    for place, status in enumerate(statuses):
        served = status == "finished"
        times = (place + 0.5, place + 1.0, place + 2.0) if served else (None, None, None)
        tokens = 100 if place % 2 == 0 else 10
        rows.append(("ab"[place % 2], status, tokens, 5 if served else 0, float(place), *times, None))
    names = ["client", "status", "prompt_tokens", "output_tokens", "arrival_s", "admitted_s", "first_token_s", "finished_s",
             "slo_s"]
    kinds = [pl.String, pl.String, pl.Int64, pl.Int64, *[pl.Float64] * 5]
    return pl.DataFrame(rows, dict(zip(names, kinds, strict=True)), orient="row")


def test_all_rejected_is_all_refused_and_starves_to_the_end():
    found = fairness(records(["rejected"] * 20))
    assert found["refused_pct"] == 100
    assert found["jain_service"] is None and found["jain_finished"] is None
    assert found["starvation_s"] == 0 and found["starvation_counting_refused_s"] == 19


def test_turning_the_modest_away_breaks_isolation():
    kept = fairness(records(["finished"] * 20))
    turned = fairness(records(["finished", "rejected"] * 10))
    assert kept["isolation_counting_refused"] == 0
    assert turned["isolation_counting_refused"] < -1
    assert kept["jain_finished"] == 1 and turned["jain_finished"] == 0.5


def test_where_nobody_is_refused_both_starvations_agree():
    found = fairness(records(["finished"] * 20))
    assert found["starvation_s"] == found["starvation_counting_refused_s"] and found["refused_pct"] == 0
