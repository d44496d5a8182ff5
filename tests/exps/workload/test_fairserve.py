"""FairServe's workloads: the trace reader, the drawn trace against the published statistics, the overload suites."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from exps.workload.fairserve import (
    COLUMNS,
    UNIFORM,
    fifty_clients,
    overload_timetable,
    paced,
    production_timetable,
)
from exps.workload.fairserve_drawn import drawn_timetable
from exps.workload.timetable import SCHEMA

HEADER = ",".join(COLUMNS.required)
ROWS = "0,14,17,5,2,1,40,8,10,4489,1,212\n0,14,17,5,2,2,30,4,0,4489,1,212\n3,2,8,5,1,1,20,2,0,99.5,1,4"


def write(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "trace.csv.gz"
    path.write_bytes(gzip.compress(f"{header}\n{rows}\n".encode()))
    return path


@pytest.fixture(scope="module")
def drawn() -> pl.DataFrame:
    return drawn_timetable(seed=0)


def test_a_trace_is_read_with_its_send_times(tmp_path: Path) -> None:
    frame = production_timetable(write(tmp_path, ROWS), app_limit=7)
    assert frame.schema == SCHEMA
    columns = ("arrival_s", "client", "app", "interaction", "call", "calls", "prompt_tokens", "output_tokens", "system_tokens")
    assert frame.select(columns).rows() == [
        (0.0, "client-14", "app-17", 5, 1, 2, 40, 8, 10),
        (0.0, "client-14", "app-17", 5, 2, 2, 30, 4, 0),
        (3.0, "client-2", "app-8", 5, 1, 1, 20, 2, 0),
    ]
    assert frame.select("expected_input", "expected_system", "expected_output", "app_limit").row(2) == (99.5, 1.0, 4.0, 7)


def test_a_paced_trace_has_equal_gaps_over_the_service_time_and_the_same_order(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    even = production_timetable(path, over_s=30.0)
    assert even["arrival_s"].to_list() == [0.0, 10.0, 20.0]
    assert even.drop("arrival_s").equals(production_timetable(path).drop("arrival_s"))


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ("1,14,17,5,2,3,40,8,0,9,1,9", 2, "llmcalls_made is '3'; it must be a whole number from 1 to llmcalls"),
        ("1,14,17,5,2,0,40,8,0,9,1,9", 2, "llmcalls_made is '0'"),
        (f"{ROWS}\n4,14,17,5,2,2,1,1,0,9,1,9", 5, "llmcalls_made is '2'; it must be a call of the user's interaction"),
        ("1,14,17,5,2,1,40,8,41,9,1,9", 2, "sys_tokens is '41'; it must be a whole number from 0 to prompt_tokens"),
        ("1,14,17,5,2,1,40,8,1.5,9,1,9", 2, "sys_tokens is '1.5'"),
        ("1,14,17,5,2,1,40,8,0,9,0,9", 2, "expected_system is '0'; it must be a number above 0"),
        ("1,14,17,5,2,1,40,8,0,9,1,", 2, "expected_output is empty"),
        ("1,14,17,x,2,1,40,8,0,9,1,9", 2, "interaction is 'x'"),
        ("1,,17,5,2,1,40,8,0,9,1,9", 2, "user is empty"),
        ("1,14,17,5,2,1,0,8,0,9,1,9", 2, "prompt_tokens is '0'"),
        ("1,14,17,5,1,1,4,8,0,9,1,9\n0,15,17,5,1,1,4,8,0,9,1,9", 3, "no earlier than in the row above"),
    ],
)
def test_a_malformed_trace_is_one_sentence_with_file_and_line(tmp_path: Path, rows: str, line: int, says: str) -> None:
    path = write(tmp_path, rows)
    with pytest.raises(InputError) as caught:
        production_timetable(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ") and says in str(caught.value)


def test_a_trace_without_a_column_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1: column llmcalls is missing"):
        production_timetable(write(tmp_path, "1", header="arrival_s,user,app,interaction"))


def test_drawn_clients_are_as_heavy_tailed_as_in_the_trace(drawn: pl.DataFrame) -> None:
    counts = drawn["client"].value_counts()["count"].sort(descending=True).to_numpy()
    assert drawn.height == 9241
    assert counts[:2] / drawn.height == pytest.approx([0.183, 0.062], abs=0.001)
    assert counts[2] / drawn.height < 0.04
    assert len(counts) == pytest.approx(1365, rel=0.1)
    assert np.median(counts) == pytest.approx(4, abs=1)


def test_drawn_interactions_have_the_published_numbers_of_calls(drawn: pl.DataFrame) -> None:
    counts = dict(drawn["calls"].value_counts().rows())
    shares = {calls: counts[calls] / drawn.height for calls in (1, 2, 3, 4, 5)}
    assert shares == pytest.approx({1: 0.344, 2: 0.074, 3: 0.136, 4: 0.260, 5: 0.046}, abs=0.025)
    interactions = drawn.group_by("client", "interaction", maintain_order=True).agg("call", pl.col("calls").first())
    assert interactions.height == pytest.approx(4830, rel=0.05)
    assert all(calls == list(range(1, most + 1)) for calls, most in interactions.select("call", "calls").rows())


def test_drawn_applications_and_lengths(drawn: pl.DataFrame) -> None:
    largest = drawn["app"].value_counts(sort=True).row(0)
    assert drawn["app"].n_unique() >= 21
    assert largest[0] == "app-17" and largest[1] / drawn.height == pytest.approx(0.476, abs=0.06)
    assert drawn.select(pl.col("prompt_tokens", "output_tokens").mean()).row(0) == pytest.approx((525, 11.7), rel=0.1)
    assert drawn.select((pl.col("prompt_tokens") + pl.col("output_tokens")).max()).item() < 2000
    assert drawn.group_by("app").agg(pl.col("expected_input").n_unique())["expected_input"].unique().to_list() == [1]


def test_drawn_requests_come_in_bursts_on_whole_seconds(drawn: pl.DataFrame) -> None:
    counts = drawn["arrival_s"].value_counts().sort("arrival_s")
    assert counts["arrival_s"].to_list() == [float(second) for second in range(72)]
    first, *rest = counts["count"].to_list()
    assert first == pytest.approx(230, rel=0.2) and max(rest) < first
    assert np.mean(rest) == pytest.approx(127, rel=0.02) and min(rest) > 60


def test_a_seed_decides_everything(drawn: pl.DataFrame) -> None:
    assert drawn.equals(drawn_timetable(seed=0))
    assert not drawn.equals(drawn_timetable(seed=1))
    assert drawn_timetable(seed=3, requests=500).height == 500


def test_two_clients_send_the_synthetic_trace_of_two_applications() -> None:
    frame = overload_timetable(rates=(3.0, 3.0), requests=1000)
    shape = ("app", "prompt_tokens", "output_tokens", "system_tokens", "expected_input", "expected_system", "expected_output",
             "calls", "app_limit")
    assert [frame.filter(client=f"client-{n}").select(shape).unique().rows() for n in (1, 2)] == [
        [("app-1", 200, 100, 100, 200.0, 200.0, 200.0, 4, 200)],
        [("app-2", 50, 50, 50, 50.0, 50.0, 50.0, 1, 200)],
    ]
    first = frame.filter(client="client-1")
    assert first["call"].to_list() == [1, 2, 3, 4] * 250
    assert first["interaction"].to_list() == np.repeat(np.arange(1, 251), 4).tolist()


def test_overload_is_a_constant_stream_for_each_client() -> None:
    frame = overload_timetable(rates=(16.0, 8.0), applications=UNIFORM)
    for client, rate in (("client-1", 16), ("client-2", 8)):
        arrivals = frame.filter(client=client)["arrival_s"].to_numpy()
        assert len(arrivals) == 60 * rate and 0 <= arrivals[0] < 1 / rate
        assert np.diff(arrivals) == pytest.approx(1 / rate)
    assert frame.select(pl.col("prompt_tokens", "output_tokens", "calls").unique()).row(0) == (256, 256, 3)


def test_fifty_clients_send_blocks_of_a_trace_at_the_artifacts_rates(drawn: pl.DataFrame) -> None:
    frame = fifty_clients(drawn)
    first = frame.filter(client="client-1")
    assert frame.height == 5000 and frame["client"].n_unique() == 50
    assert np.diff(first["arrival_s"].to_numpy()) == pytest.approx(1 / 3.749080237694725)
    assert first["prompt_tokens"].to_list() == drawn["prompt_tokens"][:100].to_list()
    gaps = frame.group_by("client").agg(pl.col("arrival_s").diff().mean())["arrival_s"].to_numpy()
    assert 3 <= 1 / gaps.max() and 1 / gaps.min() <= 5


def test_fifty_clients_calls_follow_one_another_within_an_application(drawn: pl.DataFrame) -> None:
    frame = fifty_clients(drawn)
    interactions = frame.group_by("client", "interaction", maintain_order=True).agg("call", pl.col("calls", "app").unique())
    assert interactions.filter((pl.col("calls").list.len() > 1) | (pl.col("app").list.len() > 1)).height == 0
    assert all(calls == list(range(1, len(calls) + 1)) and len(calls) <= most[0]
               for calls, most in interactions.select("call", "calls").rows())
    with pytest.raises(ValueError, match="need 5000 rows, not 300"):
        fifty_clients(drawn.head(300))


def test_pacing_keeps_the_last_arrival_within_the_service_time(drawn: pl.DataFrame) -> None:
    assert 399.9 < paced(drawn, 400.0)["arrival_s"][-1] < 400.0
