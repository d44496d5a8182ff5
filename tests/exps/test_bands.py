"""A figure repeated under small doubts."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from exps.bands import band, command, repeat_all, verdicts
from exps.figure import Options, Selection
from exps.registry import expand, find_figure
from exps.report import Reporter


@pytest.fixture(scope="module")
def repeats():
    figure = find_figure("vtc/table4")
    points, options = expand(figure, Selection(systems=("fcfs",)), Options())
    return [repeat_all(figure.id, points, options, number) for number in (0, 1, 0)]


def test_a_repeat_is_fixed_by_its_number_and_moves_the_numbers(repeats):
    assert repeats[0].metrics.equals(repeats[2].metrics) and not repeats[0].metrics.equals(repeats[1].metrics)


def test_the_band_spans_the_repeats(repeats):
    rows = band(repeats).filter(metric="mean", units="linear")
    values = [repeat.metrics.filter(metric="mean", units="linear")["value"][0] for repeat in repeats]
    assert (rows["least"][0], rows["most"][0]) == (min(values), max(values))
    assert rows["least"][0] < rows["mean_of_all"][0] < rows["most"][0]


def test_claims_are_counted_over_the_repeats(repeats):
    held = {row["claim"]: row["holds"] for row in verdicts(repeats).to_dicts()}
    assert held["Table 4 FCFS"] == "3 of 3" and held["Table 4 VTC"] == "0 of 3"


def test_the_command_prints_values_and_claims_and_tells_whether_most_hold(capsys):
    held = command("vtc/table4", Selection(systems=("fcfs",)), Options(), 2, Reporter())
    out = capsys.readouterr().out
    assert "values of 2 repeats" in out and "Table 4 FCFS" in out and held


def test_a_native_run_is_not_repeated():
    with pytest.raises(InputError, match="only simulations"):
        command("vtc/fig3", Selection(models=("tiny",)), Options(backend="native"), 2, Reporter())
