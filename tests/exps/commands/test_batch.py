"""Batches: a policy that raises fails its own point only, and what was recorded until then is kept."""

from __future__ import annotations

import json

import polars as pl
import pytest

from engine.errors import PolicyError
from engine.ordering import ORDERINGS
from engine.request import Request
from engine.system import parse_system
from exps.commands.run import run
from exps.commands.simulate import command
from exps.figures.figure import Options, Selection
from exps.papers.vtc.claims import PLATFORM
from exps.report import Reporter
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.timetable import timetable

AFTER = 5


class Fragile(ORDERINGS["fcfs"]):  # type: ignore[misc, valid-type]
    """First come, first served, until so many requests have finished."""

    finished = 0

    def on_finish(self, request: Request, now: float) -> None:
        super().on_finish(request, now)
        self.finished += 1
        if self.finished == AFTER:
            raise RuntimeError("five are enough")


@pytest.fixture(autouse=True)
def fragile(monkeypatch):
    monkeypatch.setitem(ORDERINGS, "fragile", Fragile)


@pytest.fixture
def rows():
    """Ten requests, a second apart."""
    same = {"client": ["bob"] * 10, "prompt_tokens": [20] * 10, "output_tokens": [5] * 10}
    return timetable({"arrival_s": [float(i) for i in range(10)], **same})


def setup(system: str) -> Setup:
    return Setup(parse_system(system), "llama-2-7b", "a10g", "session-2024")


def test_a_policy_that_raises_ends_the_run_with_the_records_so_far(rows):
    with pytest.raises(PolicyError, match=r"Fragile raised RuntimeError: five are enough in on_finish .* bob") as caught:
        simulate(rows, setup("order=fragile"))
    statuses = caught.value.outcome.requests["status"].to_list()
    assert statuses == ["finished"] * AFTER + ["unfinished"] * (10 - AFTER), "the fifth has all its tokens"


@pytest.mark.parametrize("one_by_one", [True, False])
def test_one_failing_strategy_fails_its_point_and_the_others_go_on(tmp_path, capsys, one_by_one):
    selection = Selection(systems=("order=fragile,batch=slora", "fcfs"))
    assert run("vtc/fig3", selection, Options(quick=True), tmp_path, 1, Reporter(), one_by_one) is False
    shown = " ".join(capsys.readouterr().out.split())
    assert "completed now 1" in shown and "failed 1" in shown
    assert f"Failed: vtc/fig3 {PLATFORM} duration_s-60 order=fragile,batch=slora: order=fragile" in shown
    manifest = json.loads(next(tmp_path.rglob("order=fragile*/*/manifest.json")).read_text())
    assert manifest["status"] == "failed" and "five are enough" in manifest["failure"]
    kept = pl.read_parquet(next(tmp_path.rglob("order=fragile*/*/requests.parquet")))
    assert kept.filter(pl.col("status") == "finished").height == AFTER


def test_a_failed_point_runs_again_and_complete_ones_do_not(tmp_path, capsys, monkeypatch):
    selection = Selection(systems=("order=fragile,batch=slora", "fcfs"))
    run("vtc/fig3", selection, Options(quick=True), tmp_path, 1, Reporter(), True)
    capsys.readouterr()
    monkeypatch.setattr(Fragile, "on_finish", ORDERINGS["fcfs"].on_finish)
    assert run("vtc/fig3", selection, Options(quick=True), tmp_path, 1, Reporter(), True) is True
    out, lines = capsys.readouterr()
    shown = " ".join(out.split())
    assert "complete before 1" in shown and "completed now 1" in shown and "failed 0" in shown
    assert "1/1" in lines and "order=fragile,batch=slora: started" in " ".join(lines.split())


def test_status_lines_name_each_point_and_the_next(tmp_path, capsys):
    run("vtc/fig3", Selection(systems=("vtc", "fcfs")), Options(quick=True), tmp_path, None, Reporter(), True)
    lines = " ".join(capsys.readouterr().err.split())
    for part in ("1/2 vtc/fig3", "vtc: started", "next: vtc/fig3", "2/2 vtc/fig3", "fcfs: complete in", "that was the last"):
        assert part in lines


def test_an_own_trace_keeps_its_records_when_the_policy_raises(tmp_path, rows):
    trace = tmp_path / "trace.csv"
    rows.select("arrival_s", "client", "prompt_tokens", "output_tokens").write_csv(trace)
    with pytest.raises(PolicyError, match="Records so far"):
        command(trace, setup("order=fragile"), tmp_path / "out", Reporter())
    assert pl.read_parquet(tmp_path / "out" / "requests.parquet").height == 10
