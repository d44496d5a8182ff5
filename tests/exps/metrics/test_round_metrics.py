"""ExFairS's metrics by client and round, by hand."""

from __future__ import annotations

import pytest

from exps.metrics.rounds import by_round, overall, with_experience

PERIOD_S = 10.0


@pytest.fixture
def requests(make_requests):
    def row(client, arrival_s, finished_s, status="finished", slo_s=4.0, **rest):
        admitted = {"admitted_s": arrival_s + 1.0, "first_token_s": arrival_s + 1.5} if finished_s else {"first_token_s": None}
        fixed = {"client": client, "arrival_s": arrival_s, "finished_s": finished_s, "status": status, "slo_s": slo_s}
        return {"prompt_tokens": 100, "output_tokens": 8, **admitted, **fixed, **rest}

    return make_requests(
        row("a", 0.0, 2.0),
        row("a", 1.0, 9.0),
        row("a", 9.9, 12.0),
        row("b", 2.0, None, "rejected", output_tokens=0),
        row("b", 3.0, None, "unfinished", slo_s=None, output_tokens=3),
        row("b", 10.0, 14.0),
        row("b", 11.0, 99.0, slo_s=None),
    )


def test_what_did_not_finish_in_time_is_violated_whatever_became_of_it(requests):
    rows = with_experience(requests)
    assert rows["violated"].to_list() == [False, True, False, True, True, False, False]
    assert rows["late"].to_list() == [False, True, False, False, False, False, False]
    assert rows["e2e_s"].to_list() == pytest.approx([2, 8, 2.1, None, None, 4, 88])


def test_requests_count_in_the_round_of_their_arrival(requests):
    rows = by_round(requests, PERIOD_S)
    assert rows.select("client", "round", "submitted", "successful", "violations", "late").rows() == [
        ("a", 0, 3, 2, 1, 1),
        ("b", 0, 2, 0, 2, 0),
        ("b", 1, 2, 1, 0, 0),
    ], "what ends after its round is no success of it, but need not be a violation"
    assert rows["requests_per_s"].to_list() == pytest.approx([0.2, 0.0, 0.1])
    assert rows["success_share"].to_list() == pytest.approx([2 / 3, 0.0, 0.5])
    assert rows["violation_share"].to_list() == pytest.approx([1 / 3, 1.0, 0.0])
    assert rows["late_share"].to_list() == [pytest.approx(1 / 3), None, 0.0]


def test_latencies_are_of_finished_requests_and_service_of_successful_ones(requests):
    first, nothing, _ = by_round(requests, PERIOD_S).rows(named=True)
    assert first["service"] == 2 * (100 + 16) and nothing["service"] == 0
    assert first["mean_e2e_s"] == pytest.approx(12.1 / 3)
    assert (first["mean_queue_s"], first["mean_inference_s"]) == pytest.approx((1.0, 12.1 / 3 - 1.0))
    assert first["p99_e2e_s"] == pytest.approx(8 - 0.02 * 5.9)
    assert first["p99_ttft_s"] == pytest.approx(1.5)
    assert first["mean_tokens_per_s"] == pytest.approx((4 + 1 + 8 / 2.1) / 3)
    assert first["p99_tokens_per_s"] == pytest.approx(1 + 0.02 * (8 / 2.1 - 1)), "what 99 % of requests exceed"
    assert nothing["mean_e2e_s"] is None and nothing["p99_tokens_per_s"] is None


def test_a_whole_run_and_its_clients(requests):
    (whole,) = overall(requests).rows(named=True)
    assert (whole["submitted"], whole["successful"], whole["violations"], whole["late"]) == (7, 5, 3, 1)
    assert whole["late_share"] == pytest.approx(1 / 5)
    assert overall(requests, "client").select("client", "violations").rows() == [("a", 1), ("b", 2)]


def test_what_ends_with_its_round_did_not_end_in_it(make_requests):
    times = {"admitted_s": 1.0, "first_token_s": 1.5, "status": "finished", "prompt_tokens": 1, "output_tokens": 2,
             "slo_s": None}
    rows = make_requests(*({"client": "a", "arrival_s": 0.0, "finished_s": end, **times} for end in (9.9, PERIOD_S)))
    assert by_round(rows, PERIOD_S)["successful"].to_list() == [1]
