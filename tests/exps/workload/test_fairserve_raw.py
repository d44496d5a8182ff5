"""The artifact's own file of FairServe's trace."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engine.errors import InputError
from exps.workload.fairserve_raw import RAW, TRACE, raw_timetable, trace_timetable

HEADER = ("PromptTokens,DecodeTokens,UserID,app,llmcalls,llmcalls_made,interaction_id,input_avg_app,output_avg_app,"
          "sys_avg_app,ArrivalTime,TIMESTAMP")
ROWS = (
    "1422,143,11213,0,1,0,7,4489.7,212.8,0,0,2024-09-04 06:00:00",
    "0,0,5815,17,288,0,43233,5770.7,57.6,0,0,x",
    "15992,1,6,17,2,0,9,5770.7,57.6,0,1,x",
    "15000,1000,6,17,2,1,9,5770.7,57.6,0,1,x",
    "8,9,5815,17,288,0,43233,5770.7,57.6,0,2,x",
)


def write(folder: Path, *rows: str, name: str = RAW) -> Path:
    path = folder / name
    content = "\n".join([HEADER, *rows]).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def test_lengths_are_an_eighth_rounded_up_and_expectations_whole_but_not_divided(tmp_path: Path) -> None:
    first = raw_timetable(write(tmp_path, *ROWS)).row(0, named=True)
    assert (first["prompt_tokens"], first["output_tokens"]) == (178, 18)
    assert (first["expected_input"], first["expected_system"], first["expected_output"]) == (4489.0, 1.0, 212.0)
    assert (first["client"], first["app"], first["call"], first["app_limit"]) == ("client-11213", "app-0", 1, 2000)


def test_long_requests_are_left_out_and_empty_ones_have_a_token(tmp_path: Path) -> None:
    frame = raw_timetable(write(tmp_path, *ROWS))
    assert frame.select("prompt_tokens", "output_tokens").rows() == [(178, 18), (1, 1), (1, 2)]


def test_calls_of_the_interaction_that_many_clients_shared_are_numbered_anew(tmp_path: Path) -> None:
    frame = raw_timetable(write(tmp_path, *ROWS)).filter(client="client-5815")
    assert frame["call"].to_list() == [1, 2]


def test_a_folder_may_hold_either_form(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"No {TRACE}.*and no {RAW}"):
        trace_timetable(tmp_path)
    write(tmp_path, *ROWS, name=f"{RAW}.gz")
    assert trace_timetable(tmp_path).height == raw_timetable(tmp_path / f"{RAW}.gz").height


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("x,1,6,17,1,0,9,1,1,0,0,x", "line 2: PromptTokens is 'x'"),
        ("1,1,,17,1,0,9,1,1,0,0,x", "line 2: UserID is empty"),
        ("1,1,6,17,1,1,9,1,1,0,0,x", "line 2: llmcalls_made is '1'; it must be a number from 0 to llmcalls - 1"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_its_line(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        raw_timetable(write(tmp_path, row))
