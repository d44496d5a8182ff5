"""VTC's Figures 4 to 10 and 16, run whole: their claims are judged on full-length runs."""

from __future__ import annotations

import json

import pytest

import cli
from exps.papers.vtc.suites import SUITE_FIGURES


@pytest.mark.parametrize("figure", SUITE_FIGURES, ids=lambda figure: figure.id)
def test_the_claims_of_a_suite_hold_and_its_pictures_are_drawn(figure, tmp_path, capsys):
    assert cli.main(["run", figure.id, "--results", str(tmp_path), "--jobs", "1"]) == 0
    pictures = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines() if line.startswith("Picture: ")]
    assert len(pictures) >= 2
    assert cli.main(["check", figure.id, "--results", str(tmp_path), "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in document["claims"]} == {"holds"}
    assert all(row["ours"] and row["published"] != "-" for row in document["claims"])
