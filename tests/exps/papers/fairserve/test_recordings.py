"""Recorded runs of FairServe's artifact: read, replayed and compared."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

import cli
from engine.errors import InputError
from exps.figures.published import read_published
from exps.metrics.interactions import aborts, counter_classes, service_counters
from exps.papers.fairserve.recordings import FairServeRun, decode_step_s, is_recorded_here, overtaking, read_recordings
from exps.papers.fairserve.replay import replay
from exps.validate.fairserve import compare

SHARED = Path(__file__).parents[5] / "shared" / "reference" / "fairserve"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded runs are not here")
INDEX = "run,recorded_as,scheduler,user_limit\nvtc,x,vtc_fair,-1\nrpm,x,lshare_fair,2\n"
HEADER = ("user,app,interaction,llmcalls,llmcalls_made,prompt_tokens,output_tokens,send_time_s,first_token_latency_s,"
          "request_latency_s")
ROWS = ("0,17,5,2,1,100,4,0,0.5,0.7", "0,17,5,2,2,50,4,0,0.6,0.8", "3,2,9,1,1,70,8,1,0.4,0.9")


def folder(tmp_path: Path, index: str = INDEX, rows: tuple[str, ...] = ROWS) -> Path:
    (tmp_path / "index.csv").write_text(index)
    for name in ("vtc", "rpm"):
        body = [row.replace("0.6,0.8", "-1,-1") if name == "rpm" else row for row in rows]
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *body]).encode()))
    return tmp_path


def test_a_run_is_read_with_its_system_limit_and_outcomes(tmp_path: Path) -> None:
    vtc, rpm = read_recordings(folder(tmp_path))
    assert (vtc.limit, rpm.limit, rpm.system) == (None, 2, "rpm-interactions")
    assert rpm.requests["status"].to_list() == ["finished", "aborted", "finished"]
    assert vtc.total_s == pytest.approx(1.9)
    assert rpm.requests["first_token_s"].to_list() == pytest.approx([0.5, None, 1.4])
    assert rpm.timetable()["client"].to_list() == ["client-0", "client-0", "client-3"]
    assert rpm.timetable()["expected_input"].to_list() == [5770.0, 5770.0, 999.0]


def test_requests_of_one_second_were_sent_one_after_the_other(tmp_path: Path) -> None:
    vtc, _ = read_recordings(folder(tmp_path))
    assert vtc.timetable()["arrival_s"].to_list() == pytest.approx([0.0, 0.0011, 1.0])


def test_the_first_runs_calls_stand_for_those_of_all(tmp_path: Path) -> None:
    path = folder(tmp_path)
    older = "\n".join([HEADER, *(row.replace(",2,2,50", ",2,1,50") for row in ROWS)])
    (path / "rpm.csv.gz").write_bytes(gzip.compress(older.encode()))
    assert read_recordings(path)[1].requests["call"].to_list() == [1, 2, 1]


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (INDEX.replace("vtc_fair", "new_fair"), "scheduler 'new_fair' is not one of vtc_fair"),
        ("run,recorded_as,scheduler\nvtc,x,vtc_fair\n", "column 'user_limit' is missing"),
        (INDEX.replace("rpm,x", "gone,x"), "gone.csv.gz"),
    ],
)
def test_a_malformed_folder_is_one_sentence(tmp_path: Path, index: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_recordings(folder(tmp_path, index))


def test_runs_of_different_requests_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "rpm.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, ROWS[0]]).encode()))
    with pytest.raises(InputError, match="not of the same 3 requests"):
        read_recordings(path)


def test_a_folder_of_vtcs_runs_is_not_taken_for_fairserves(tmp_path: Path) -> None:
    assert is_recorded_here(folder(tmp_path))
    assert not is_recorded_here(tmp_path / "none")
    (tmp_path / "index.csv").write_text("run,duration_s,committed_on\n")
    assert not is_recorded_here(tmp_path)


def test_overtaking_counts_how_far_ahead_the_furthest_was_that_came_before() -> None:
    requests = pl.DataFrame({"first_token_s": [1.0, 9.0, 1.01, None, 2.0]})
    assert overtaking(requests) == pytest.approx((0 + 0 + 0 + 3) / 4)
    assert overtaking(requests.sort("first_token_s", nulls_last=True)) == 0.0


def synthetic() -> FairServeRun:
    """A run that the simulator recorded itself: forty clients send 30 calls each at once, for two minutes of service."""
    rows = pl.DataFrame({"place": range(1200)}).with_columns(client="client-" + (pl.col("place") % 40).cast(pl.String))
    requests = rows.select(
        "client", app=pl.lit("app-2"), interaction=pl.col("place") // 160, call=1 + pl.col("place") // 40 % 4,
        calls=pl.lit(4, pl.Int64), prompt_tokens=pl.lit(1900, pl.Int64), output_tokens=pl.lit(20, pl.Int64),
        arrival_s=0.001 * pl.col("place"), expected_input=pl.lit(900.0), expected_system=pl.lit(1.0),
        expected_output=pl.lit(20.0), status=pl.lit("finished"), first_token_s=pl.lit(0.0), finished_s=pl.lit(1.0),
    )
    return replay(FairServeRun("rpm", "lshare_fair", "rpm-interactions", 20, requests))


def test_the_replay_of_the_simulators_own_run_is_exact() -> None:
    run = synthetic()
    again = replay(run)
    assert again.requests["finished_s"].equals(run.requests["finished_s"])
    assert aborts(run.requests)["aborted_requests"] > 0


def test_a_server_that_sees_the_backlog_aborts_more() -> None:
    found = compare(synthetic(), repeats=0)
    assert found.error("aborted_interactions") == 0.0 and found.agrees("requests_per_s")
    assert found.burst["aborted_interactions"] > found.recorded["aborted_interactions"] > 0


@needs_shared
def test_the_published_values_follow_from_the_recorded_runs() -> None:
    runs = {run.scheduler: run for run in read_recordings(SHARED)}
    table = read_published("fairserve", "table1").filter(pl.col("limit").fill_null(50) == 50)
    classes = read_published("fairserve", "wsc")
    for scheduler, system in (("vtc_fair", "vtc"), ("lshare_fair", "rpm-interactions"),
                              ("fs_fair_interaction_limit_expect", "fairserve")):
        requests, row = runs[scheduler].requests, table.filter(system=system).row(0, named=True)
        assert {name: row[name] for name in aborts(requests)} == aborts(requests)
        found = counter_classes(service_counters(requests, 100.0))
        assert list(found.values()) == classes.filter(system=system)["clients"].to_list()


@needs_shared
def test_the_run_that_was_fitted_is_met_by_its_three_landmarks() -> None:
    run = next(run for run in read_recordings(SHARED) if run.name == "vtc")
    again = replay(run)
    assert decode_step_s(again.requests) == pytest.approx(decode_step_s(run.requests), rel=0.02)
    assert again.total_s == pytest.approx(run.total_s, rel=0.01)
    assert overtaking(again.requests) == pytest.approx(overtaking(run.requests), rel=0.5)
    assert overtaking(replay(run, reads_per_wait=None).requests) > 100 * overtaking(run.requests)


@needs_shared
def test_recorded_counts_are_met_within_a_fifth_and_rates_within_a_twentieth(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(SHARED), "--json"]) == 0
    runs = {row["run"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert set(runs) == {"vtc", "rpm50", "fairserve50", "ablation_fs_wo50"}
    assert runs["vtc"]["used_for_calibration"] and not runs["rpm50"]["used_for_calibration"]
    for row in runs.values():
        assert all(row[name]["agrees"] for name in ("aborted_interactions", "wasted_prompt_tokens", "requests_per_s"))
