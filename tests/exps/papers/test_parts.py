"""Parts of a figure: added systems are drawn and not judged, and no part overwrites the whole."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure as Picture

import cli
from engine.errors import InputError
from exps.commands.findings import draw, find
from exps.commands.planning import plan_figures
from exps.commands.run import run
from exps.figures.figure import Options, Selection
from exps.papers.parts import part_name
from exps.papers.registry import expand, find_figure
from exps.report import Reporter
from exps.run.execute import execute

QUICK = Options(quick=True)
ADDED = Selection(added=("order=round-robin",))


def test_added_systems_stand_beside_the_figures_own():
    figure = find_figure("vtc/fig3")
    own = {point.system for point in expand(figure, Selection(), QUICK)[0]}
    assert {point.system for point in expand(figure, ADDED, QUICK)[0]} == own | {"order=round-robin"}


def test_an_added_system_is_measured_and_changes_no_verdict(tmp_path):
    run("vtc/fig3", ADDED, QUICK, tmp_path, 1, Reporter())
    whole, added = (find(plan_figures("vtc/fig3", part, QUICK, tmp_path)[0]) for part in (Selection(), ADDED))
    assert added.judgements == whole.judgements
    assert "order=round-robin" in added.metrics["system"]
    assert "order=round-robin" not in added.judged["system"]
    assert not set(draw(whole)) & set(draw(added))


@pytest.fixture
def captions(tmp_path, monkeypatch):
    """What stands below each picture of a quick run, by the picture's name."""
    saved = {}

    def save(picture, path, **kwargs):
        saved[path.stem] = " ".join(text.get_text() for text in picture.texts).replace("\n", " ")
        path.touch()

    def drawn(figure, *systems):
        monkeypatch.setattr(Picture, "savefig", save)
        plan = plan_figures(figure, Selection(systems=systems), QUICK, tmp_path)[0]
        execute(plan.to_do, tmp_path, 1, lambda job, product: None)
        draw(find(plan_figures(figure, plan.selection, QUICK, tmp_path)[0]))
        return saved

    return drawn


@pytest.mark.parametrize(
    ("figure", "setting_of"),
    [("fairserve/overload50", lambda name: name.split("-")[1]), ("exfairs/dec", lambda name: "-".join(name.split("-")[2:4]))],
)
def test_a_picture_of_one_setting_names_that_one(captions, figure, setting_of):
    found = captions(figure, "vtc")
    assert {setting_of(name) for name in found} == {setting.name for setting in find_figure(figure).settings}
    for name, caption in found.items():
        assert f"setting {setting_of(name)};" in caption


def test_a_picture_of_several_settings_names_them(captions):
    assert all("setting dec-1, early-3;" in caption for caption in captions("exfairs/seats", "vtc").values())


def test_a_picture_of_some_systems_names_the_departures_of_those(captions):
    found = captions("vtc/fig3", "vtc", "fcfs,batch=vllm")
    departs = {name[:5]: "fcfs,batch=vllm departs" in caption for name, caption in found.items()}
    assert departs == {"fig3a": True, "fig3b": False}


@pytest.mark.parametrize(
    "part",
    [Selection(systems=("vllm",)), Selection(models=("llama",)), Selection(rps=(3.0,)), Selection(at=(3.0,)), ADDED],
)
def test_each_part_has_a_name_of_its_own(part):
    assert part_name(find_figure("fig8"), part)


def test_the_whole_figure_has_no_part():
    figure = find_figure("fig8")
    assert not part_name(figure, Selection())
    assert not part_name(figure, Selection(models=("qwen", "llama"), systems=figure.systems))


def test_a_rate_without_a_workload_is_refused():
    with pytest.raises(InputError, match=r"overload2 has no rps 2\.6 .* choose from"):
        expand(find_figure("fairserve/overload2"), Selection(rps=(2.6,)), QUICK)


def test_an_added_system_has_numbers_of_its_own(tmp_path, capsys):
    fixed = ["--results", str(tmp_path), "--quick", "--jobs", "1", "--system", "fcfs", "--with", "order=vtc(w_q=1)"]
    assert cli.main(["run", "vtc/fig3", *fixed]) == 0
    out = capsys.readouterr().out
    table = out[out.index("All systems, added ones too") :]
    assert "order=vtc(w_q=1)" in table and "largest_difference" in table
