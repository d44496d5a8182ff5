"""A timetable in, records out: schema, determinism, and books that balance."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine.errors import InputError
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost, Line
from engine.executors.simulated.profiles import Calibration, Deployment, load_deployment
from engine.system import parse_system
from exps.run.recorder import StepLog
from exps.run.serving import Outcome, Setup
from exps.run.simulation import requests_of, simulate
from exps.workload.timetable import timetable

SCHEMA = {
    "request": pl.Int64, "client": pl.String, "app": pl.String, "interaction": pl.Int64, "call": pl.Int64,
    "adapter": pl.String, "category": pl.String, "replica": pl.Int64, "status": pl.String, "reason": pl.String,
    "prompt_tokens": pl.Int64, "output_tokens": pl.Int64, "arrival_s": pl.Float64, "admitted_s": pl.Float64,
    "first_token_s": pl.Float64, "finished_s": pl.Float64, "slo_tpot_s": pl.Float64, "steps": pl.Int64,
    "drafted_tokens": pl.Int64, "accepted_tokens": pl.Int64, "preemptions": pl.Int64, "prompt_served": pl.Int64,
    "calls": pl.Int64, "system_tokens": pl.Int64, "app_limit": pl.Int64, "slo_s": pl.Float64,
    "expected_input": pl.Float64, "expected_system": pl.Float64, "expected_output": pl.Float64,
    "patience_s": pl.Float64,
}
PLAIN = ["fcfs", "vtc", "vllm", "sarathi"]
SYSTEMS = [*PLAIN, "vllm-spec-4", "adaserve", "order=vtc,spec=adaserve"]


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """Round numbers instead of fitted ones."""
    return replace(
        load_deployment("llama-2-7b", "a10g"),
        kv_tokens=4000, line=Line((1, 101), (0.010, 0.020)), context_s=1e-6, prefill=None, policies={},
        draft=DraftCost(0.001, 1e-5), calibrations={"x": Calibration("nothing", acceptance=AcceptanceModel(0.7))},
    )


@pytest.fixture(scope="module")
def requests() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    n = 120
    return timetable(
        {
            "arrival_s": np.sort(rng.uniform(0, 4, n)),
            "client": rng.choice(["a", "b", "c"], n),
            "prompt_tokens": rng.integers(1, 300, n),
            "output_tokens": rng.integers(1, 60, n),
            "slo_tpot_s": [None if i % 3 else 0.02 for i in range(n)],
            "category": ["chat"] * n,
        }
    )


def run(requests: pl.DataFrame, deployment: Deployment, system: str = "vtc", **changes: object) -> Outcome:
    setup = Setup(parse_system(system), "llama-2-7b", "a10g", "x")
    return simulate(requests, replace(setup, **changes), deployment)  # type: ignore[arg-type]


def parquet(frame: pl.DataFrame | None) -> bytes:
    assert frame is not None
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_records_carry_the_timetable_and_what_happened(
    system: str, requests: pl.DataFrame, deployment: Deployment
) -> None:
    outcome = run(requests, deployment, system)
    records = outcome.requests
    assert dict(records.schema) == SCHEMA
    assert records["request"].to_list() == list(range(requests.height))
    assert outcome.steps is None
    assert_frame_equal(records.select(requests.drop("prompt").columns), requests.drop("prompt"))
    assert (records["status"] == "finished").all() and records["reason"].is_null().all()
    assert (records["admitted_s"] >= records["arrival_s"]).all()
    assert (records["first_token_s"] <= records["finished_s"]).all()
    assert outcome.facts["kv_tokens"] <= 4000 and outcome.facts["steps"] > 0
    assert (records["drafted_tokens"].sum() > 0) is (system not in PLAIN)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_step_log_balances_with_the_records(system: str, requests: pl.DataFrame, deployment: Deployment) -> None:
    outcome = run(requests, deployment, system, record_steps=True, kv_tokens=40_000)
    assert outcome.steps is not None and outcome.requests["preemptions"].sum() == 0
    logged, recorded = (
        frame.group_by("client").agg(pl.col("prompt_tokens", "output_tokens").sum())
        for frame in (outcome.steps, outcome.requests)
    )
    assert_frame_equal(logged, recorded, check_row_order=False)
    assert (outcome.steps["start_s"] < outcome.steps["end_s"]).all() and (outcome.steps["steps"] > 0).all()
    assert outcome.steps["start_s"].is_sorted()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_same_command_gives_the_same_bytes(system: str, requests: pl.DataFrame, deployment: Deployment) -> None:
    one, two = (run(requests, deployment, system, record_steps=True, seed=5) for _ in range(2))
    assert parquet(one.requests) == parquet(two.requests) and parquet(one.steps) == parquet(two.steps)
    assert one.facts == two.facts
    other = run(requests, deployment, system, seed=6)
    assert other.requests.equals(one.requests) is (system in PLAIN)


def test_recording_steps_changes_nothing(requests: pl.DataFrame, deployment: Deployment) -> None:
    logged, plain = (run(requests, deployment, record_steps=record) for record in (True, False))
    assert_frame_equal(logged.requests, plain.requests)


@pytest.mark.parametrize("system", ["vtc", "vllm", "sarathi"])
def test_a_request_longer_than_the_pool_is_rejected_and_counted(system: str, deployment: Deployment) -> None:
    rows = {"arrival_s": [0.0, 0.1], "client": ["a", "b"], "prompt_tokens": [900, 10], "output_tokens": [200, 5]}
    records = run(timetable(rows), deployment, system, kv_tokens=1024).requests
    assert records["status"].to_list() == ["rejected", "finished"]
    assert "1100 tokens" in records["reason"][0] and records["reason"][1] is None
    assert records["output_tokens"].to_list() == [0, 5] and records["prompt_tokens"].to_list() == [900, 10]
    assert records["admitted_s"][0] is None and records["finished_s"][0] is None


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_request_longer_than_the_models_context_is_rejected_as_natively(system: str, deployment: Deployment) -> None:
    rows = {"arrival_s": [0.0, 0.0], "client": ["a", "a"], "prompt_tokens": [4000, 4000], "output_tokens": [97, 96]}
    records = run(timetable(rows), replace(deployment, kv_tokens=100_000), system).requests
    assert records["status"].to_list() == ["rejected", "finished"]
    assert records["reason"][0] == "4097 tokens do not fit the model's context of 4096"


@pytest.mark.parametrize("system", SYSTEMS)
def test_one_request(system: str, deployment: Deployment) -> None:
    rows = {"arrival_s": [2.5], "client": ["a"], "prompt_tokens": [7], "output_tokens": [1]}
    record = run(timetable(rows), deployment, system).requests.row(0, named=True)
    assert (record["status"], record["output_tokens"], record["steps"]) == ("finished", 1, 0)
    assert record["admitted_s"] == pytest.approx(2.5) and record["first_token_s"] == record["finished_s"]


def test_a_cold_start_delays_the_first_token(deployment: Deployment) -> None:
    rows = {"arrival_s": [0.0], "client": ["a"], "prompt_tokens": [7], "output_tokens": [3]}
    warm, cold = (run(timetable(rows), deployment, cold_start_s=start).requests for start in (0.0, 0.8))
    assert cold["first_token_s"][0] - warm["first_token_s"][0] == pytest.approx(0.8)


def test_a_smaller_pool_holds_fewer(requests: pl.DataFrame, deployment: Deployment) -> None:
    large, small = (run(requests, deployment, "vllm", kv_tokens=tokens) for tokens in (4000, 500))
    assert small.facts["kv_tokens"] == 496
    assert small.requests["preemptions"].sum() > 0
    assert small.facts["end_s"] > large.facts["end_s"]


def test_an_unknown_calibration_is_one_sentence(requests: pl.DataFrame, deployment: Deployment) -> None:
    with pytest.raises(InputError, match="unknown calibration 'y'"):
        run(requests, deployment, calibration="y")


def test_rows_become_requests_with_all_their_columns() -> None:
    rows: dict[str, list[Any]] = {
        "arrival_s": [0.5], "client": ["a"], "prompt_tokens": [7], "output_tokens": [3], "slo_tpot_s": [0.1],
        "category": ["c"], "app": ["p"], "interaction": [4], "call": [2], "adapter": ["r"],
    }
    (request,) = requests_of(timetable(rows))
    given = {name: getattr(request, name) for name in rows}
    assert given == {name: values[0] for name, values in rows.items()} and request.id == 0


def test_equal_steps_are_one_row_of_the_log() -> None:
    log = StepLog()
    log.add(0.0, 1.0, {"a": 9}, {"a": 1})
    for second in (1.0, 2.0, 3.0):
        log.add(second, second + 1, {}, {"a": 2, "b": 1})
    log.add(4.0, 5.0, {}, {"b": 1})
    assert log.frame().rows() == [
        ("a", 0.0, 1.0, 1, 9, 1), ("a", 1.0, 4.0, 3, 0, 6), ("b", 1.0, 5.0, 4, 0, 4),
    ]
