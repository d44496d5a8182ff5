"""Replaying recorded runs: exact on runs that the simulator itself recorded, and within bounds on real ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.errors import InputError
from exps.recorded.recordings import Recording, environment, read_recordings
from exps.recorded.replay import replay
from exps.report import Reporter
from exps.validate.measures import compare, judgements, measure
from exps.validate.report import validate
from exps.workload.vtc import overload_timetable

SHARED = Path(__file__).parents[4] / "shared" / "reference" / "vtc"
PLACE = environment("vtc_overload", "2024-06-06")


def recorded(cold_start_s: float = 0.0) -> Recording:
    """A run whose latencies are the simulator's own, with a first request late by ``cold_start_s``."""
    arrivals = overload_timetable(duration_s=40.0)
    rows = arrivals.select(
        client=pl.col("client").str.strip_prefix("client-").cast(pl.Int64),
        prompt_tokens="prompt_tokens",
        output_tokens="output_tokens",
        send_time_s="arrival_s",
        first_token_latency_s=pl.lit(0.0),
        request_latency_s=pl.lit(0.0),
    )
    run = replay(Recording("vtc_overload", 40.0, "2024-06-06", rows), PLACE)
    late = run.requests["first_token_latency_s"][0] + cold_start_s
    first = pl.when(pl.int_range(pl.len()) == 0).then(late).otherwise("first_token_latency_s")
    return replace(run, requests=run.requests.with_columns(first_token_latency_s=first))


def test_a_replay_of_the_simulators_own_run_is_exact() -> None:
    run = recorded()
    comparison = compare(run, PLACE, repeats=0)
    assert comparison.recorded == comparison.simulated
    assert comparison.error("throughput_rps") == 0 and set(comparison.client_errors().values()) == {0.0}


def test_the_worst_client_is_told_and_spread_over_the_runs() -> None:
    run = recorded()
    late = pl.when(pl.col("client") == 2).then(pl.col("first_token_latency_s") * 2).otherwise("first_token_latency_s")
    comparison = compare(replace(run, requests=run.requests.with_columns(first_token_latency_s=late)), PLACE, repeats=0)
    client, error = comparison.worst_client()
    assert client.endswith("2") and error == pytest.approx(-0.5, abs=0.01)
    assert judgements([comparison])["client_ttft"].to_list() == [abs(error)]


def test_a_late_first_request_starts_the_replay_cold() -> None:
    warm, cold = recorded(), recorded(cold_start_s=1.5)
    first = replay(cold, PLACE).requests["first_token_latency_s"][0]
    assert first == pytest.approx(warm.requests["first_token_latency_s"][0] + 1.5)


def test_repeats_draw_a_band_that_the_seed_fixes() -> None:
    run = recorded()
    band = compare(run, PLACE, repeats=3).band
    assert band is not None and band[0] < band[1] and band == compare(run, PLACE, repeats=3).band



def test_json_has_runs_errors_and_what_was_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, recorded(), "vtc_overload", "vtc_max_real")
    validate(tmp_path, as_json=True, repeats=0, report=Reporter())
    document = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in document["runs"]] == ["vtc_overload"]
    assert document["runs"][0]["throughput_rps"]["error"] == pytest.approx(0, abs=0.02)
    assert document["skipped"] == [{"run": "vtc_max_real", "system": "vtc-max", "why": "not built yet"}]


def test_a_folder_with_nothing_built_is_refused(tmp_path: Path) -> None:
    write(tmp_path, recorded(), "vtc_max_real")
    with pytest.raises(InputError, match="none of its 1 runs is of a system that is built"):
        validate(tmp_path, as_json=False, repeats=0, report=Reporter())


def test_what_a_limit_accepted_is_counted_on_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, replace(recorded(), name="rpm10_overload"), "rpm10_overload")
    validate(tmp_path, as_json=False, repeats=0, report=Reporter())
    assert "accepted: rpm10_overload: 180 recorded, 20 simulated" in capsys.readouterr().out


def write(folder: Path, run: Recording, *names: str) -> None:
    lines = [f"{name},{run.duration_s},{run.committed_on}" for name in names]
    (folder / "index.csv").write_text("\n".join(["run,duration_s,committed_on", *lines]) + "\n")
    for name in names:
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(run.requests.write_csv().encode()))


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded runs are not part of the repository")
def test_the_simulator_tells_the_truth_about_recorded_runs() -> None:
    """Bounds of the validation: throughput 2.5 %, mean TTFT 12 % or 0.8 s, differences above 50,000 4 %."""
    built = [run for run in read_recordings(SHARED) if environment(run.name, run.committed_on).system]
    assert len(built) >= 12
    for run in built:
        place = environment(run.name, run.committed_on)
        ours, theirs = measure(replay(run, place)), measure(run)
        assert ours.throughput_rps == pytest.approx(theirs.throughput_rps, rel=0.025), run.name
        assert ours.mean_ttft_s == pytest.approx(theirs.mean_ttft_s, rel=0.12, abs=0.8), run.name
        if theirs.largest_difference > 50_000:
            assert ours.largest_difference == pytest.approx(theirs.largest_difference, rel=0.04), run.name
