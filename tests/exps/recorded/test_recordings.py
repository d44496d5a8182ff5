"""Recorded folders: what a run's name says, and what a malformed folder gets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engine.errors import InputError
from exps.recorded.recordings import environment, read_recordings

INDEX = "run,duration_s,committed_on\nvtc_tiny,60,2024-06-06\n"
HEADER = "client,prompt_tokens,output_tokens,send_time_s,first_token_latency_s,request_latency_s\n"
RUN = HEADER + "0,10,5,0.5,0.1,0.4\n1,10,5,1.0,-1,-1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.csv").write_text(INDEX)
    write_run(tmp_path, RUN)
    return tmp_path


def write_run(folder: Path, text: str) -> None:
    (folder / "vtc_tiny.csv.gz").write_bytes(gzip.compress(text.encode()))


@pytest.mark.parametrize(
    ("name", "label", "model", "kv_tokens"),
    [
        ("vtc_overload", "vtc", "llama-2-7b", 10000),
        ("fcfs_poisson_short_long", "fcfs", "llama-2-7b", 10000),
        ("vtc_s4_pool35000_len512", "vtc", "llama-2-13b", 35000),
        ("vtc_s4_len128", "vtc", "llama-2-13b", 65000),
        ("vtc_oracle_overload", "vtc-oracle", "llama-2-7b", 10000),
        ("vtc_predict_real", "vtc-predict", "llama-2-7b", 10000),
        ("vtc_pred50_overload", "vtc-pred-50", "llama-2-7b", 10000),
        ("vtc_overload_weighted", "vtc", "llama-2-7b", 10000),
        ("vtc_weighted_overload_weighted", "vtc-weighted", "llama-2-7b", 10000),
        ("vtc_real_profile", "vtc-profile", "llama-2-7b", 10000),
        ("lcf_dist_shift", "lcf", "llama-2-7b", 10000),
        ("rpm10_real", "rpm", "llama-2-7b", 10000),
        ("mdrr_overload", "drr", "llama-2-7b", 10000),
        ("something_else", "something_else", "llama-2-7b", 10000),
    ],
)
def test_the_name_tells_system_model_and_pool(name: str, label: str, model: str, kv_tokens: int) -> None:
    place = environment(name, "2023-12-04")
    assert (place.label, place.model, place.kv_tokens) == (label, model, kv_tokens)
    assert (place.system is None) == (label == "something_else")


def test_the_date_tells_the_session_and_the_artifacts_charge() -> None:
    first, second = environment("vtc_real", "2023-12-04"), environment("vtc_real", "2024-06-06")
    assert (first.calibration, second.calibration) == ("session-2023", "session-2024")
    assert first.system and second.system
    assert "duplicate_charge" not in first.system and "duplicate_charge=true" in second.system
    assert "duplicate_charge" not in (environment("vtc_real", "2024-04-25").system or "")


def test_the_name_tells_the_policys_parameters() -> None:
    systems = {name: environment(name, "2024-06-06").system for name in ("rpm10_real", "lcf_real", "vtc_pred50_overload")}
    vtc = "batch=slora,order=vtc(lift_from_empty=false,duplicate_charge=true"
    assert systems == {
        "rpm10_real": "batch=slora,order=rpm(limit=10)",
        "lcf_real": f"{vtc},lift=false)",
        "vtc_pred50_overload": f"{vtc},predict=oracle,spread=0.5)",
    }


def test_a_run_becomes_records_and_a_timetable(folder: Path) -> None:
    (run,) = read_recordings(folder)
    records, timetable = run.records(), run.timetable()
    assert records["status"].to_list() == ["finished", "rejected"]
    assert records["first_token_s"].to_list() == [pytest.approx(0.6), None]
    assert timetable["prompt_tokens"].to_list() == [12, 12]
    assert run.total_s == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER, "no requests"),
        (HEADER + "0,-1,5,0.5,0.1,0.4\n", "a malformed request"),
        (HEADER + "0,ten,5,0.5,0.1,0.4\n", ".*lengths and seconds are numbers"),
        (HEADER.replace("client,", ""), "column 'client' is missing"),
    ],
)
def test_a_malformed_run_is_named(folder: Path, text: str, sentence: str) -> None:
    write_run(folder, text)
    with pytest.raises(InputError, match=f"vtc_tiny.csv.gz: {sentence}"):
        read_recordings(folder)


def test_a_missing_run_is_named(folder: Path) -> None:
    (folder / "vtc_tiny.csv.gz").unlink()
    with pytest.raises(InputError, match=r"vtc_tiny.csv.gz: .*a recorded folder has index.csv"):
        read_recordings(folder)
