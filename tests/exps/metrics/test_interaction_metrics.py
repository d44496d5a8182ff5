"""Aborted interactions, what they waste and whom they hit, on records small enough to count by hand."""

from __future__ import annotations

import polars as pl
import pytest

from exps.metrics.interactions import (
    BY_NUMBER,
    aborts,
    aborts_by_client,
    counter_classes,
    decode_rates,
    delayed_clients_pct,
    ratio_intervals,
    service_counters,
    spread,
    whole_charge,
)


def records(*rows: tuple[str, int | None, int, str], **columns: list[object]) -> pl.DataFrame:
    """Requests of (client, interaction, call, status) with prompts of 1, 10, 100, ... tokens."""
    names = ("client", "interaction", "call", "status")
    frame = pl.DataFrame(rows, dict.fromkeys(names, pl.String) | {"interaction": pl.Int64, "call": pl.Int64}, orient="row")
    times = {name: [float(i) for i in range(len(rows))] for name in ("admitted_s", "first_token_s", "finished_s")}
    lengths = {"prompt_tokens": [10**i for i in range(len(rows))], "output_tokens": [1] * len(rows)}
    return frame.with_columns(**{name: pl.Series(values) for name, values in {**lengths, **times, **columns}.items()})


MIXED = records(
    ("a", 1, 1, "finished"), ("a", 1, 2, "aborted"), ("a", 2, 1, "rejected"), ("b", 1, 1, "finished"),
    ("b", None, 1, "rejected"), ("b", None, 1, "finished"), ("c", 7, 1, "unfinished"),
)


def test_interactions_are_a_clients_own_and_a_request_without_one_stands_alone():
    assert aborts(MIXED) == {
        "aborted_requests": 3,
        "aborted_interactions": 3,
        "partly_served": 1,
        "throttled_clients": 2,
        "wasted_prompt_tokens": 1,
    }


def test_known_by_number_alone_another_clients_interaction_is_hit_too():
    found = aborts(MIXED, keyed_by=BY_NUMBER)
    assert found["wasted_prompt_tokens"] == 1 + 1000 and found["aborted_interactions"] == 3
    with pytest.raises(ValueError, match="keyed_by is client or number"):
        aborts(MIXED, keyed_by="interaction")


def test_what_each_throttled_client_loses():
    assert aborts_by_client(MIXED).rows() == [("a", 3, 2, 2, 1), ("b", 3, 1, 1, 0)]


def test_the_spread_is_over_clients_that_have_any():
    clients = pl.DataFrame({"lost": [0, *range(1, 101)]})
    assert spread(clients, "lost") == pytest.approx((50.5, 5.95, 95.05))
    assert spread(clients.head(1), "lost") == (0.0, 0.0, 0.0)


def test_a_client_is_delayed_when_a_later_call_is_overtaken():
    calls = (("a", 1, 1, "finished"), ("a", 1, 2, "finished"), ("b", 1, 1, "finished"), ("c", 1, 2, "finished"))
    assert delayed_clients_pct(records(*calls)) == 0.0
    assert delayed_clients_pct(records(*calls, admitted_s=[0.0, 3.0, 2.0, 4.0])) == 50.0
    assert delayed_clients_pct(records(*calls, admitted_s=[3.0, 3.0, 2.0, 4.0])) == 50.0
    assert delayed_clients_pct(records(*calls[:3:2])) is None


def test_a_later_call_that_was_never_admitted_is_not_counted():
    calls = (("a", 1, 2, "aborted"), ("b", 1, 1, "finished"), ("c", 1, 2, "finished"))
    assert delayed_clients_pct(records(*calls, admitted_s=[None, 1.0, 2.0])) == 0.0


EXPECTED = {"expected_input": [2.0, 2.0], "expected_system": [1.0, 1.0], "expected_output": [1.0, 4.0],
            "system_tokens": [0, 1]}


def test_counters_are_weighted_tokens_over_expected_ones_of_what_ended_in_time():
    frame = records(("a", 1, 1, "finished"), ("b", 1, 1, "finished"), finished_s=[5.0, 6.0], **EXPECTED)
    assert dict(service_counters(frame, 6.0).rows()) == pytest.approx({"a": 3 / 5, "b": 12 / 11})
    assert counter_classes(service_counters(frame, 6.0)) == {"0": 0, "(0, 1]": 1, "> 1": 1}
    assert counter_classes(service_counters(frame, 5.5)) == {"0": 1, "(0, 1]": 1, "> 1": 0}


def test_plotted_service_holds_each_kind_of_token_against_its_own_expectation():
    frame = records(("a", 1, 1, "finished"), ("b", 1, 1, "finished"), **EXPECTED)
    assert ratio_intervals(frame)["service"].to_list() == pytest.approx([1 / 2 + 0 + 2, 9 / 2 + 1 + 2 / 4])


def test_decode_rates_leave_out_answers_of_one_token():
    frame = records(("a", 1, 1, "finished"), ("a", 2, 1, "finished"), ("b", 1, 1, "finished"), output_tokens=[5, 3, 1],
                    first_token_s=[0.0, 0.0, 0.0], finished_s=[2.0, 2.0, 2.0])
    assert decode_rates(frame).rows() == [("a", 1.5)]


def test_a_charge_is_weighted_tokens_over_weighted_expected_ones():
    row = {"prompt_tokens": [30], "system_tokens": [10], "output_tokens": [5]}
    expected = {"expected_input": [7], "expected_system": [11], "expected_output": [13]}
    charge = pl.DataFrame(row | expected).select(whole_charge(2.0, 3.0, 5.0)).item()
    assert charge == pytest.approx((2 * 20 + 3 * 10 + 5 * 5) / (2 * 7 + 3 * 11 + 5 * 13))
