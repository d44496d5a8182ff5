"""The fairness row of a run."""

from __future__ import annotations

import pytest

from exps.metrics.fairness import fairness

LOST = {"arrival_s": 0.0, "admitted_s": None, "first_token_s": None, "finished_s": None}


def served(client: str, second: float) -> dict[str, object]:
    return {"client": client, "arrival_s": second, "admitted_s": second, "first_token_s": second + 0.5,
            "finished_s": second + 1.0, "slo_s": 2.0}


def test_a_fair_run_has_no_difference_and_an_index_of_one(make_requests):
    found = fairness(make_requests(*(served(client, float(second)) for second in range(4) for client in ("a", "b"))))
    assert found.pop("isolation") is None and found.pop("isolation_counting_refused") is None
    assert found.pop("jain_finished") == found.pop("jain_service") == 1.0
    assert set(found.values()) == {0.0}


def test_one_client_that_gets_nothing_shows_in_every_number(make_requests):
    lost = {"client": "b", "slo_s": 2.0, "status": "unfinished", **LOST}
    found = fairness(make_requests(*(served("a", float(second)) for second in range(4)), lost))
    assert found["largest_difference"] == 60.0
    assert found["jain_service"] == 0.5
    assert found["starvation_s"] == 4.0
    assert found["violations_pct"] == pytest.approx(20.0)


def test_without_an_answer_nothing_divides_by_zero(make_requests):
    found = fairness(make_requests({"slo_s": None, "status": "rejected", **LOST}))
    assert found["largest_difference"] == 0.0 and found["violations_pct"] is None and found["isolation"] is None
