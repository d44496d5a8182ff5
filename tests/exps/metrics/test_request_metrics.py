"""Metrics of hand-made records, by hand."""

from __future__ import annotations

import pytest

from exps.metrics.requests import summarize, summarize_by_client, with_latencies


@pytest.fixture
def requests(make_requests):
    return make_requests(
        {"client": "a", "arrival_s": 0.0, "first_token_s": 1.0, "finished_s": 3.0, "output_tokens": 5, "steps": 4,
         "slo_tpot_s": 0.5},
        {"client": "a", "arrival_s": 1.0, "first_token_s": 4.0, "finished_s": 5.0, "output_tokens": 2, "steps": 1,
         "slo_tpot_s": 0.5, "preemptions": 2},
        {"client": "b", "arrival_s": 2.0, "first_token_s": 10.0, "finished_s": 10.0, "output_tokens": 1, "steps": 0,
         "slo_tpot_s": 0.1},
        {"client": "b", "arrival_s": 3.0, "first_token_s": None, "finished_s": None, "output_tokens": 0, "steps": 0,
         "status": "rejected", "slo_tpot_s": 9.0},
        {"client": "b", "arrival_s": 4.0, "first_token_s": 6.0, "finished_s": None, "output_tokens": 3, "steps": 2,
         "status": "unfinished", "slo_tpot_s": 9.0},
    )


def test_latencies_and_attained(requests):
    frame = with_latencies(requests)
    assert frame["ttft_s"].to_list() == [1, 3, 8, None, 2]
    assert frame["tpot_s"].to_list() == [0.5, 1.0, 0.0, None, None]
    assert frame["e2e_s"].to_list() == [3, 4, 8, None, None]
    assert frame["attained"].to_list() == [True, False, True, False, False]


def test_summary(requests):
    found = summarize(requests)
    assert (found["submitted"], found["finished"], found["rejected"], found["unfinished"]) == (5, 3, 1, 1)
    assert found["attainment_pct"] == pytest.approx(40)
    assert found["goodput_tokens_per_s"] == pytest.approx((5 + 1) / 10)
    assert found["requests_per_s"] == pytest.approx(0.3)
    assert found["output_tokens_per_s"] == pytest.approx(0.8)
    assert found["tokens_per_s"] == pytest.approx((30 + 8) / 10)
    assert found["mean_ttft_s"] == pytest.approx(14 / 4)
    assert found["median_ttft_s"] == pytest.approx(2.5)
    assert found["p99_ttft_s"] == pytest.approx(3 + 0.97 * 5)
    assert found["mean_tpot_s"] == pytest.approx(0.5)
    assert found["p99_e2e_s"] == pytest.approx(4 + 0.98 * 4)
    assert found["mean_tokens_per_verification"] == pytest.approx((4 + 1 + 2) / (4 + 1 + 2))
    assert found["preemptions"] == 2


def test_by_client_uses_the_span_of_the_run(requests):
    a, b = summarize_by_client(requests).iter_rows(named=True)
    assert (a["client"], a["submitted"], a["attainment_pct"]) == ("a", 2, pytest.approx(50))
    assert a["requests_per_s"] == pytest.approx(0.2)
    assert (b["client"], b["rejected"], b["unfinished"]) == ("b", 1, 1)
    assert b["output_tokens_per_s"] == pytest.approx(0.1)


def test_tokens_per_verification_counts_the_bonus(make_requests):
    found = summarize(make_requests({"output_tokens": 13, "steps": 3, "drafted_tokens": 18, "accepted_tokens": 9}))
    assert found["mean_tokens_per_verification"] == pytest.approx(4)
    assert found["acceptance_pct"] == pytest.approx(50)


def test_without_slo_there_is_no_attainment(make_requests):
    found = summarize(make_requests({}))
    assert found["attainment_pct"] is None
    assert found["goodput_tokens_per_s"] is None


def test_nothing_finished_is_zero_throughput(make_requests):
    row = {"status": "rejected", "first_token_s": None, "finished_s": None, "output_tokens": 0, "slo_tpot_s": 1.0}
    found = summarize(make_requests(row))
    assert found["tokens_per_s"] == found["goodput_tokens_per_s"] == found["attainment_pct"] == 0
    assert found["mean_ttft_s"] is None


def test_a_run_of_half_a_second_has_rates(make_requests):
    row = {"arrival_s": 0.0, "first_token_s": 0.1, "finished_s": 0.5, "prompt_tokens": 10, "output_tokens": 5}
    assert summarize(make_requests(row))["tokens_per_s"] == 30.0
