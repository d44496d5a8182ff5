"""What the figures measure of a point agrees with its records."""

from __future__ import annotations

import polars as pl
import pytest

from exps.papers.exfairs.measures import measure, sweep_measure
from exps.papers.exfairs.setup import CONTINUOUS, EXFAIRS, FCFS, PERIOD_S


@pytest.fixture(scope="module")
def records(quick_records):
    return quick_records("exfairs/dec", EXFAIRS, FCFS, CONTINUOUS, settings=("seats-16",))


@pytest.fixture(scope="module")
def metrics(records):
    return measure(records)


def test_there_is_a_row_a_client_and_round_a_round_and_a_run(metrics):
    for system in (EXFAIRS, FCFS, CONTINUOUS):
        rows = metrics.filter(system=system)
        kinds = (
            rows.select(client=pl.col("client").is_null(), round=pl.col("round").is_null()).to_struct("kinds").value_counts()
        )
        assert sorted(kinds["count"]) == [1, 2, 2 * 4]


def test_rounds_add_up_to_the_run(metrics, records):
    rows = metrics.filter(system=EXFAIRS)
    (run,) = rows.filter(pl.col("round").is_null()).rows(named=True)
    rounds = rows.filter(pl.col("client").is_null() & pl.col("round").is_not_null())
    clients = rows.filter(pl.col("client").is_not_null())
    requests = records[0].requests
    answered = requests.filter(pl.col("status") == "finished")
    in_time = answered["finished_s"] - answered["arrival_s"] <= answered["slo_s"]
    late = requests.height - in_time.sum()
    assert run["violations"] == late == rounds["violations"].sum() == clients["violations"].sum() > 0
    assert run["submitted"] == requests.height == rounds["submitted"].sum()
    tokens = answered["prompt_tokens"].sum() + answered["output_tokens"].sum()
    span = answered["finished_s"].max() - requests["arrival_s"].min()
    assert run["tokens_per_s"] == pytest.approx(tokens / span)
    assert run["goodput_rps"] == pytest.approx((requests.height - late) / span)
    assert run["timely_share"] == pytest.approx((answered["finished_s"] - answered["arrival_s"] <= 30).sum() / requests.height)


def test_credits_sum_to_zero_in_every_round_and_belong_to_exfairs_alone(metrics):
    clients = metrics.filter(pl.col("client").is_not_null())
    for system in (EXFAIRS, CONTINUOUS):
        sums = clients.filter(system=system).group_by("round").agg(pl.col("credit").sum(), moved=pl.col("credit").abs().sum())
        assert sums["credit"].to_list() == [0, 0] and sums["moved"].max() > 0
    assert clients.filter(system=FCFS)["credit"].null_count() == 8


def test_the_fairness_ratio_is_known_of_every_system_and_follows_the_formula(metrics, records):
    """Of the first round, all of whose requests had ended or were overdue by its end."""
    clients = metrics.filter(pl.col("client").is_not_null())
    assert clients["fairness_ratio"].null_count() == 0
    (fcfs,) = (record.requests for record in records if record.point.system == FCFS)
    first = fcfs.filter(pl.col("arrival_s") < PERIOD_S)
    done = first.filter((pl.col("finished_s") < PERIOD_S) & (pl.col("status") == "finished"))
    service = done.group_by("client").agg(service=(pl.col("prompt_tokens") + 2 * pl.col("output_tokens")).sum())
    overdue = (pl.min_horizontal("finished_s", pl.lit(PERIOD_S)) - pl.col("arrival_s")) > pl.col("slo_s")
    shares = first.group_by("client").agg(violated=overdue.mean()).join(service, on="client")
    expected = {
        row["client"]: 0.3 * row["service"] / service["service"].sum() + 0.7 * row["violated"] for row in shares.to_dicts()
    }
    found = clients.filter(system=FCFS, round=0)
    assert dict(zip(found["client"], found["fairness_ratio"], strict=True)) == pytest.approx(expected)


def test_only_systems_that_exchange_have_exchanges(metrics):
    runs = {row["system"]: row for row in metrics.filter(pl.col("round").is_null()).to_dicts()}
    assert runs[EXFAIRS]["exchanged"] >= runs[EXFAIRS]["needless"] >= 0
    assert runs[CONTINUOUS]["exchanged"] > runs[EXFAIRS]["exchanged"]
    assert runs[FCFS]["exchanged"] is None


def test_exchanges_have_a_reason_when_violations_alone_decide(quick_records):
    service_alone, slo_alone = "exfairs,order=exfairs(alpha=0)", "exfairs,order=exfairs(alpha=1)"
    runs = sweep_measure(quick_records("exfairs/dec", service_alone, slo_alone, settings=("seats-16",)))
    needless = dict(runs.group_by("system").agg(pl.col("needless").sum()).rows())
    assert needless[service_alone] > 0 == needless[slo_alone]


def test_a_sweep_has_a_row_a_point(quick_records):
    runs = sweep_measure(quick_records("exfairs/slo-sweep", FCFS, points=2, settings=("dec-1", "dec-1-bounded")))
    assert runs.select("setting", "slo_scale").rows() == [
        ("dec-1", 0.5), ("dec-1", 2.0), ("dec-1-bounded", 0.5), ("dec-1-bounded", 2.0),
    ]
    loose, tight = (runs.filter(slo_scale=scale)["violations"].sum() for scale in (2.0, 0.5))
    assert loose < tight
