"""What throttled clients ask for, as distributions."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from exps.figures.figure import Point, Record
from exps.papers.fairserve.throttled import CDF_THROTTLED, measure

PACED = replace(CDF_THROTTLED.platforms[0], setting=CDF_THROTTLED.settings[0])


def record(system: str, aborted: tuple[int, ...]) -> Record:
    """Six requests of three clients, of which some were aborted."""
    answers = [10, 20, 30, 40, 50, 60]
    requests = pl.DataFrame(
        {
            "client": ["a", "a", "a", "b", "b", "c"],
            "interaction": range(6),
            "prompt_tokens": [100, 200, 300, 400, 400, 50],
            "output_tokens": [0 if row in aborted else tokens for row, tokens in enumerate(answers)],
            "status": ["aborted" if row in aborted else "finished" for row in range(6)],
            "system_tokens": [0] * 6, "expected_input": [100.0] * 6, "expected_system": [1.0] * 6,
            "expected_output": [10.0] * 6, "first_token_s": [0.0] * 6, "finished_s": [1.0] * 6,
        }
    )
    return Record(Point(CDF_THROTTLED, PACED, system, 10.0), requests, None, {})


def curve(metrics: pl.DataFrame, system: str, quantity: str) -> list[tuple[float, float]]:
    rows = metrics.filter(system=system, quantity=quantity).sort("scaled", "share_pct")
    return list(rows.select("scaled", "share_pct").iter_rows())


def test_a_client_counts_by_the_mean_of_what_it_lost_over_the_largest() -> None:
    metrics = measure([record("rpm-interactions", (0, 1, 3)), record("fs-fair-wsc", ())])
    assert curve(metrics, "rpm-interactions", "prompt_tokens") == [(0.0, 0.0), (0.375, 50.0), (1.0, 100.0)]
    assert curve(metrics, "rpm-interactions", "sent_requests") == [(0.0, 0.0), (pytest.approx(2 / 3), 50.0), (1.0, 100.0)]


def test_an_aborted_answer_is_as_long_as_where_it_was_given() -> None:
    metrics = measure([record("rpm-interactions", (0, 1, 3)), record("fs-fair-wsc", ())])
    assert curve(metrics, "rpm-interactions", "output_tokens") == [(0.0, 0.0), (0.375, 50.0), (1.0, 100.0)]
    service = [(1.5 + 2 * 1.5) / (4 + 2 * 4), 1.0]
    assert [scaled for scaled, _ in curve(metrics, "rpm-interactions", "service")[1:]] == pytest.approx(service)


def test_an_answer_that_nobody_gave_leaves_its_client_out_of_answers_alone() -> None:
    metrics = measure([record("rpm-interactions", (0, 5)), record("fairserve", (5,))])
    assert curve(metrics, "rpm-interactions", "output_tokens") == [(0.0, 0.0), (1.0, 100.0)]
    assert len(curve(metrics, "rpm-interactions", "prompt_tokens")) == 3


def test_a_system_that_throttles_nobody_has_no_rows() -> None:
    metrics = measure([record("rpm-interactions", (0,)), record("fs-fair-wsc", ())])
    assert metrics["system"].unique().to_list() == ["rpm-interactions"]
