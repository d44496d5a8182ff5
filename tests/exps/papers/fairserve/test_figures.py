"""FairServe's figures, run short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import cli
from exps.figures.figure import Options, Point
from exps.papers.fairserve.figures import FAIRSERVE_FIGURES
from exps.papers.fairserve.points import POINTS, limited
from exps.papers.registry import find_figure
from exps.run.plan import setup_of

PICTURES = {"table1": 4, "ablation": 4, "overload2": 1, "overload50": 2, "aborted": 1, "throttled": 1, "wsc": 1, "overtime": 3,
            "cdf": 1, "cdf-throttled": 2, "causes-limits": 1, "causes-order": 2, "causes-always": 1}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, so that figures share their points."""
    return tmp_path_factory.mktemp("results")


@pytest.mark.parametrize("name", PICTURES)
def test_a_quick_run_draws_its_pictures_and_judges_nothing(
    name: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", f"fairserve/{name}", "--quick", "--results", str(results), "--jobs", "1"]
    systems = ["--system", "vtc,fairserve,rpm-interactions"] if name in ("overload50", "ablation") else []
    assert cli.main([*command, *systems]) == 0
    shown = capsys.readouterr().out
    pictures = [Path(line.split(": ", 1)[1]) for line in shown.splitlines() if line.startswith("Picture: ")]
    assert len([path for path in pictures if path.suffix == ".png"]) == PICTURES[name]
    assert all(path.stat().st_size > 5_000 for path in pictures)
    assert "fails" not in shown and "holds" not in shown


def test_every_figure_is_registered_and_most_share_their_points() -> None:
    assert {figure.id.split("/")[1] for figure in FAIRSERVE_FIGURES} == set(PICTURES)
    assert {figure.points_folder for figure in FAIRSERVE_FIGURES} == {POINTS, "fairserve/overload2", "fairserve/overload50"}


def test_the_limit_of_a_point_reaches_every_policy_and_the_pace_only_the_paced_server() -> None:
    figure = find_figure("fairserve/table1")
    (server,) = figure.platforms
    setups = {setting.name: setup_of(Point(figure, replace(server, setting=setting), "fairserve", 50.0), Options())
              for setting in figure.settings}
    assert setups["burst"].policies == limited(50.0) == {"rpm": {"limit": 50}, "fairserve": {"limit": 50}}
    assert setups["paced"].policies == {**limited(50.0), "slora": {"reads_per_wait": 1.315}}
