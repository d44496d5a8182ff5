"""VTC's figures on the real workload: judged on whole runs of a few systems, drawn from one set of points."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import cli
from exps.papers.registry import find_figure
from exps.papers.vtc.real import OWNER, ranks

SHARED = Path(__file__).parents[5] / "shared" / "reference" / "vtc"
ON_REAL = ("fig11", "fig12", "fig13", "fig14", "fig18", "fig20", "table2", "table3")


def run(figure: str, results: Path, *more: str) -> int:
    return cli.main(["run", f"vtc/{figure}", "--results", str(results), "--jobs", "1", *more])


def verdicts(figure: str, results: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    capsys.readouterr()
    cli.main(["check", f"vtc/{figure}", "--results", str(results), "--json", *more])
    (document,) = json.loads(capsys.readouterr().out)
    return {row["claim"]: row["verdict"] for row in document["claims"]}


def test_ranks_count_up_from_the_client_that_sent_the_fewest() -> None:
    frame = ranks(pl.DataFrame({"client": ["b", "a", "c", "c", "c", "a"]}))
    assert frame.rows() == [("b", 1, 1), ("a", 2, 2), ("c", 3, 3)]


@pytest.mark.parametrize("name", ON_REAL)
def test_figures_on_the_real_workload_share_their_points(name: str) -> None:
    figure = find_figure(f"vtc/{name}")
    assert figure.points_folder == OWNER and figure.has_traces


def test_the_drawn_workload_isolates_clients_under_vtc_and_every_picture_is_drawn(tmp_path, capsys):
    for name in ("fig12", "fig11", "fig20"):
        assert run(name, tmp_path) == 0
    assert len(list((tmp_path / OWNER).rglob("requests.parquet"))) == 2
    for name in ("fig11", "fig12", "fig20"):
        assert len(list((tmp_path / "vtc" / name).glob("*.png"))) == 1
        assert set(verdicts(name, tmp_path, capsys).values()) == {"holds"}


def test_claims_need_every_system_they_speak_of_and_published_numbers_the_recorded_requests(tmp_path, capsys):
    run("fig14", tmp_path, "--system", "rpm-5,rpm-30,vtc")
    some = verdicts("fig14", tmp_path, capsys, "--system", "rpm-5,rpm-30,vtc")
    assert [name for name, status in some.items() if status != "not judged"] == ["14 half"]
    run("fig14", tmp_path)
    assert verdicts("fig14", tmp_path, capsys) == {
        "14 rises": "holds", "14 half": some["14 half"], "14 throughput": "not judged", "14 served": "not judged",
    }


def test_a_folder_that_is_no_recording_gets_one_sentence(tmp_path, capsys):
    assert run("fig12", tmp_path / "results", "--traces", str(tmp_path)) == 2
    assert "No vtc_real.csv.gz or fcfs_real.csv.gz in" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded runs are not part of the repository")
def test_limits_accept_as_many_of_the_recorded_requests_as_the_artifact_did(tmp_path, capsys):
    run("fig14", tmp_path, "--traces", str(SHARED))
    assert set(verdicts("fig14", tmp_path, capsys, "--traces", str(SHARED)).values()) == {"holds"}
