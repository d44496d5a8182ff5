"""What a figure fixes holds for every system in it, whatever the system is called."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.ordering import ORDERINGS
from engine.ordering.fcfs import FCFS
from engine.system import parse_system
from exps.figures.figure import Options, Selection
from exps.papers.exfairs.scenarios import DEC
from exps.papers.registry import expand, find_figure
from exps.report import provenance
from exps.run.plan import setup_of
from exps.run.simulation import simulate


def points(figure, *systems, **more):
    return expand(find_figure(figure), Selection(systems=systems, **more), Options(quick=True))


@pytest.mark.parametrize("figure", ["vtc/table2", "vtc/fig3", "fairserve/table1"])
def test_fcfs_under_a_new_name_serves_as_fcfs_does(monkeypatch, figure):
    monkeypatch.setitem(ORDERINGS, "mine", FCFS)
    known, other = [], []
    found, settled = points(figure, "fcfs", "order=mine")
    for point in found:
        sent = point.figure.timetable(point.platform, point.x, settled).head(60)
        (known if point.system == "fcfs" else other).append(simulate(sent, setup_of(point, settled)).requests)
    assert known and all(ours.equals(theirs) for ours, theirs in zip(other, known, strict=True))


@pytest.mark.parametrize("system", ["vtc", "order=vtc", "adaserve", "sarathi", "fairserve"])
def test_the_setting_beats_a_preset_and_an_inferred_batching(system):
    found, settled = points(DEC.id, system)
    assert {setup_of(point, settled).system.choices["batching"].name for point in found} == {"vllm"}
    assert "departs" not in provenance(settled, found)


def test_only_an_explicit_batching_departs_and_the_caption_says_so():
    found, settled = points("vtc/fig3", "vtc", "order=vtc,batch=vllm")
    batchings = [setup_of(point, settled).system.choices["batching"].name for point in found]
    assert batchings == ["slora", "vllm"]
    assert "order=vtc,batch=vllm departs from the figure's batching slora" in provenance(settled, found)
    assert not parse_system("order=vtc,batch=slora").departs("slora")
    assert parse_system("vtc,batch=slora(adapter_tokens=0)").departs("slora")


def test_a_figure_that_compares_engines_leaves_each_its_own():
    found, settled = points("fig8", "vllm", "sarathi", "adaserve", models=("llama",))
    assert {setup_of(point, settled).system.choices["batching"].name for point in found} == {"vllm", "sarathi"}


def test_settings_are_chosen_by_name_and_all_run_without_one():
    found, settled = points("fairserve/table1", "vtc")
    assert {point.platform.setting.name for point in found} == {"paced", "burst"}
    chosen, _ = points("fairserve/table1", "vtc", settings=("burst",))
    assert {point.platform.place for point in chosen} == {"llama-7b, burst"}
    assert "setting burst;" in provenance(settled, chosen)


@pytest.mark.parametrize(
    ("figure", "chosen", "sentence"),
    [
        ("fairserve/table1", {"models": ("burst",)}, "write --setting burst"),
        ("fairserve/table1", {"settings": ("bursts",)}, "did you mean burst"),
        ("vtc/fig3", {"settings": ("burst",)}, "leave --setting out"),
    ],
)
def test_an_unknown_setting_and_one_given_as_a_model_are_refused(figure, chosen, sentence):
    with pytest.raises(InputError, match=sentence):
        points(figure, "vtc", **chosen)
