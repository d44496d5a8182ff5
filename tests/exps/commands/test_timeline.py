"""--trace-steps and the timeline: what is recorded adds up to the records, and an interval of it is drawn."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import cli
from exps.commands.timeline import cells_of, steps_of

TRACE = "arrival_s,client,category,prompt_tokens,output_tokens,slo_tpot_s\n" + "".join(
    f"{i / 20},{'ab'[i % 2]},{('coding', 'chat')[i % 2]},40,30,{(0.036, 0.05)[i % 2]}\n" for i in range(40)
)
WHERE = ["--model", "llama-3.1-70b", "--hardware", "4xa100-80g"]


def simulate(folder: Path, *more: str, system: str = "adaserve") -> Path:
    path, out = folder / "trace.csv", folder / system
    path.write_text(TRACE)
    assert cli.main(["simulate", str(path), "--system", system, *WHERE, "--out", str(out), *more]) == 0
    return out


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("traced"), "--trace-steps")


def test_what_is_traced_adds_up_to_the_records(traced: Path) -> None:
    requests, trace = pl.read_parquet(traced / "requests.parquet"), pl.read_parquet(traced / "speculation.parquet")
    rows = trace.drop_nulls("request").with_columns(drafted=pl.col("slo_tokens") + pl.col("more_tokens"))
    sums = pl.col("produced", "drafted").cast(pl.Int64).sum()
    by_request = rows.group_by("request").agg(sums, steps=pl.len()).sort("request")
    assert by_request["produced"].to_list() == (requests["output_tokens"] - 1).to_list()
    assert by_request["drafted"].to_list() == requests["drafted_tokens"].to_list()
    assert by_request["steps"].to_list() == requests["steps"].to_list()
    steps = steps_of(trace)
    assert (steps["roots"] + steps["slo_tokens"] + steps["more_tokens"] <= steps["budget"].replace(0, 10**6)).all()
    assert steps["prefill_tokens"].sum() == requests["prompt_tokens"].sum()
    assert (steps["start_s"][1:] >= steps["end_s"][:-1]).all() and steps["slo_tokens"].sum() > 0


def test_the_records_are_the_same_with_and_without_a_trace(traced: Path, tmp_path: Path) -> None:
    plain = simulate(tmp_path)
    assert not (plain / "speculation.parquet").exists()
    assert (plain / "requests.parquet").read_bytes() == (traced / "requests.parquet").read_bytes()


def test_a_system_without_speculation_is_traced_too(tmp_path: Path) -> None:
    trace = pl.read_parquet(simulate(tmp_path, "--trace-steps", system="vllm") / "speculation.parquet")
    assert trace["depth"].max() == 0 and trace["need"].null_count() == trace.height and trace["request"].null_count() > 0


def test_an_interval_is_drawn_and_told(traced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["timeline", str(traced), "--between", "0.5:1"]) == 0
    shown = capsys.readouterr().out
    picture = traced.parent / "adaserve-timeline-0.5-1.png"
    assert picture.stat().st_size > 10_000 and str(picture) in shown.replace("\n", "") and "slo_tokens" in shown


def test_rows_stand_by_slo_and_arrival(traced: Path) -> None:
    cells = cells_of(pl.read_parquet(traced / "speculation.parquet"), pl.read_parquet(traced / "requests.parquet"))
    names = cells["row"].unique(maintain_order=True).to_list()
    assert names[0] == "coding 0" and names[20] == "chat 1" and len(names) == 40


@pytest.mark.parametrize(
    ("between", "sentence"),
    [("5", "is no interval"), ("2:1", "is no interval"), ("a:b", "as in 120:121"), ("0:inf", "is no interval"),
     ("900:901", "has no step from 900 to 901 s")],
)
def test_a_wrong_interval_is_one_sentence(
    traced: Path, between: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["timeline", str(traced), "--between", between]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_without_a_trace_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["timeline", str(tmp_path), "--between", "0:1"]) == 2
    assert "run its point with --trace-steps" in capsys.readouterr().err


def test_slos_that_nothing_can_keep_are_told_with_what_is_possible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tight.csv"
    path.write_text("arrival_s,client,prompt_tokens,output_tokens,slo_tpot_s\n0,a,9,9,0.001\n0,a,9,9,0.05\n")
    assert cli.main(["simulate", str(path), "--system", "vllm", *WHERE, "--out", str(tmp_path / "o")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 SLOs are below 30 ms a token, the least that vllm can do" in told and "the tightest is 1 ms" in told


@pytest.mark.parametrize("slo", ["0", "-1", "nan"])
def test_an_slo_that_is_none_is_one_sentence(tmp_path: Path, slo: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.csv"
    path.write_text(f"arrival_s,client,prompt_tokens,output_tokens,slo_tpot_s\n0,a,9,9,{slo}\n")
    assert cli.main(["simulate", str(path), "--system", "adaserve", *WHERE, "--out", str(tmp_path / "o")]) == 2
    assert "slo_tpot_s" in capsys.readouterr().err
