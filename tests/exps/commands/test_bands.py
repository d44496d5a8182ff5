"""A figure repeated under small doubts."""

from __future__ import annotations

import polars as pl
import pytest

from engine.errors import InputError
from exps.commands import bands
from exps.commands.bands import Asked, Repeats, band, check_repeatedly, repeat_all
from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, UNSURE, Claim, Verdict, any_fails, judge, over_runs
from exps.figures.figure import Options, Platform, Record, Selection
from exps.papers.registry import expand, find_figure
from exps.report import Reporter
from exps.run.plan import setup_of
from exps.run.simulation import simulate


def asked(name, *systems, quick=False, **more):
    """A figure's points of some systems."""
    figure = find_figure(name)
    selection = Selection(systems=systems, **more)
    return Asked(figure, *expand(figure, selection, Options(quick=quick)), selection)


@pytest.fixture(scope="module")
def repeats():
    figure = find_figure("vtc/table4")
    points, options = expand(figure, Selection(systems=("fcfs",)), Options())
    return [repeat_all([Asked(figure, points, options)], number)[0] for number in (0, 1, 0)]


def test_a_repeat_is_fixed_by_its_number_and_moves_the_numbers(repeats):
    assert repeats[0].metrics.equals(repeats[2].metrics) and not repeats[0].metrics.equals(repeats[1].metrics)


def test_the_band_spans_the_repeats(repeats):
    rows = band(repeats).filter(metric="mean", units="linear")
    values = [repeat.metrics.filter(metric="mean", units="linear")["value"][0] for repeat in repeats]
    assert (rows["least"][0], rows["most"][0]) == (min(values), max(values))
    assert rows["least"][0] < rows["mean_of_all"][0] < rows["most"][0]


def test_claims_are_counted_over_the_repeats(repeats):
    found = {row.claim: row for row in Repeats(asked("vtc/table4", "fcfs"), repeats).judgements()}
    assert found["Table 4 FCFS"].holds_in == "3 of 3 runs" and found["Table 4 VTC"].holds_in == "-"
    assert found["Table 4 VTC"].verdict == NOT_JUDGED


@pytest.mark.parametrize(
    ("statuses", "verdict", "count"),
    [
        ([HOLDS] * 9 + [FAILS], HOLDS, "9 of 10 runs"),
        ([HOLDS] * 8 + [FAILS] * 2, UNSURE, "8 of 10 runs"),
        ([HOLDS] * 2 + [FAILS] * 8, UNSURE, "2 of 10 runs"),
        ([HOLDS] + [FAILS] * 9, FAILS, "1 of 10 runs"),
        ([NOT_JUDGED] * 9 + [FAILS], FAILS, "1 run"),
        ([NOT_JUDGED] * 8 + [HOLDS, FAILS], UNSURE, "1 of 2 runs"),
        ([NOT_JUDGED] * 3, NOT_JUDGED, "-"),
    ],
)
def test_a_verdict_counts_the_runs_that_judge(statuses, verdict, count):
    claim = Claim("X", "s", {"m": "1"}, "none", lambda of: Verdict(of.frame["status"][0], of.frame["status"][0]))
    place = {Platform("m", "", "", ""): (1, 1)}
    runs = [judge([claim], pl.DataFrame({"model": ["m"], "status": [status]}), place)[0] for status in statuses]
    found = over_runs(runs, "because")
    assert (found.verdict, found.holds_in, found.cause) == (verdict, count, "because" if verdict == FAILS else "")
    assert any_fails([found]) == (verdict == FAILS)
    assert bool(found.otherwise) == (HOLDS in statuses and FAILS in statuses)


def test_figures_that_share_points_simulate_them_once(monkeypatch):
    made = []
    monkeypatch.setattr(bands, "simulate", lambda *given: made.append(given) or simulate(*given))
    repeat_all([asked("vtc/table4", "fcfs"), asked("vtc/fig19", "fcfs", at=(2.0,))], 1)
    assert len(made) == 1


def test_a_repeat_of_exfairs_knows_its_policies_and_moves_cold_start_and_acceptance_alike_for_every_system(monkeypatch):
    setups = []
    monkeypatch.setattr(bands, "simulate", lambda sent, setup, of: setups.append((sent, setup)) or simulate(sent, setup, of))
    one = asked("exfairs/alpha", "exfairs,order=exfairs(alpha=1)", "exfairs", quick=True, settings=("dec-1",), at=(0.5,))
    (run,) = repeat_all([one], 2)
    assert run.metrics["exchanged"].null_count() == 0
    (sent, first), (again, second) = setups
    assert sent.equals(again) and first.cold_start_s == second.cold_start_s > 0 and first.seed == second.seed == 2


def test_the_first_run_is_the_figure_as_it_is():
    one = asked("vtc/table4", "fcfs")
    sent = one.figure.timetable(one.points[0].platform, 2.0, one.options)
    plain = simulate(sent, setup_of(one.points[0], one.options)).requests
    record = Record(one.points[0], plain, None, {})
    assert repeat_all([one], 0)[0].metrics.equals(one.figure.measure([record]))


def test_a_page_of_repeats_counts_each_verdict(capsys):
    check_repeatedly("vtc/table4", Selection(systems=("fcfs",)), Options(), 2, Reporter(), as_page=True)
    out = capsys.readouterr().out
    assert "1 claims hold, 0 fail, 0 are unsure, 4 are not judged; 0 of 0 facts" in out and "| 2 of 2 runs |" in out


def test_the_command_prints_values_and_claims_and_tells_whether_most_hold(capsys):
    held = check_repeatedly("vtc/table4", Selection(systems=("fcfs",)), Options(), 2, Reporter())
    out = capsys.readouterr().out
    assert "values of 2 runs" in out and "Table 4 FCFS" in out and held


def test_a_native_run_is_not_repeated():
    with pytest.raises(InputError, match="only simulations"):
        check_repeatedly("vtc/fig3", Selection(models=("tiny",)), Options(backend="native"), 2, Reporter())
