"""Names, values and options as a person types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError
from exps.figures.figure import Options, Selection
from exps.figures.typed import parse_axis, parse_values, split_systems
from exps.papers.registry import FIGURES, expand, find_figure, find_figures, options_for, platforms_of, traces_of
from exps.papers.vtc.fig3 import S1
from exps.run.backends import check_backend
from exps.run.local import TINY
from exps.run.plan import folder_name


def test_a_bare_name_is_adaserves():
    assert find_figure("fig8").id == "adaserve/fig8"
    assert find_figure("vtc/fig3").id == "vtc/fig3"
    assert [figure.id for figure in find_figures("all")] == list(FIGURES)


def test_a_figures_axis_may_be_cut_to_some_of_its_values():
    points, _ = expand(find_figure("vtc/fig15b"), Selection(at=(512.0,)), Options())
    assert [point.x for point in points] == [512.0]
    with pytest.raises(InputError, match=r"vtc/fig15b has no tokens 500 for llama-13b; choose from 256, 512, 768"):
        expand(find_figure("vtc/fig15b"), Selection(at=(500.0,)), Options())
    assert parse_axis("10,50,10") == (10.0, 50.0)
    with pytest.raises(InputError, match="--at 'x' is no list of numbers"):
        parse_axis("x")


def test_all_of_a_paper():
    assert {"adaserve/fig8", "adaserve/fig9"} < {figure.id for figure in find_figures("adaserve/all")}
    assert all(figure.id.startswith("adaserve/") for figure in find_figures("adaserve/all"))
    with pytest.raises(InputError, match=r"no paper is called 'adaserv'.*adaserve/all"):
        find_figures("adaserv/all")


def test_traces_are_the_papers_part_of_a_folder_or_the_folder(tmp_path):
    (tmp_path / "vtc").mkdir()
    of_vtc, of_adaserve = find_figure("vtc/fig3"), find_figure("fig8")
    assert traces_of("all", of_vtc, tmp_path) == traces_of("vtc/fig3", of_vtc, tmp_path) == tmp_path / "vtc"
    assert traces_of("fig8", of_adaserve, tmp_path) == tmp_path
    assert traces_of("all", of_adaserve, tmp_path) is None
    assert traces_of("all", of_vtc, None) is None


@pytest.mark.parametrize(("name", "hint"), [("fig88", "fig8"), ("vtc/fg3", "vtc/fig3"), ("adaserve/fig7", "adaserve/fig8")])
def test_unknown_figures_name_the_nearest(name, hint):
    with pytest.raises(InputError, match=hint):
        find_figure(name)


def test_expansion_of_the_whole_figure_and_of_a_quick_one():
    assert len(expand(find_figure("fig8"), Selection(), Options())[0]) == 132
    quick, _ = expand(find_figure("fig8"), Selection(models=("llama",)), Options(quick=True))
    assert sorted({point.x for point in quick}) == [2.6, 3.8, 4.8]
    points, _ = expand(find_figure("vtc/fig3"), Selection(), Options(quick=True))
    assert [point.name for point in points] == ["duration_s-60"] * 2


def test_selection_keeps_order_and_drops_repeats():
    selection = Selection(("qwen",), ("vtc", "vllm", "vtc", "order=vtc, spec=adaserve"), (3.0,))
    points, _ = expand(find_figure("fig8"), selection, Options())
    assert [point.system for point in points] == ["vtc", "vllm", "order=vtc,spec=adaserve"]
    assert {(point.platform.name, point.x) for point in points} == {("qwen", 3.0)}


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        (Selection(models=("lama",)), "llama"),
        (Selection(systems=("adaserv",)), "adaserve"),
        (Selection(systems=("order=vtcc",)), "vtc"),
    ],
)
def test_unknown_models_and_systems_name_the_nearest(selection, hint):
    with pytest.raises(InputError, match=hint):
        expand(find_figure("fig8"), selection, Options())


def test_rates_do_not_apply_everywhere():
    with pytest.raises(InputError, match="--rps"):
        expand(find_figure("vtc/fig3"), Selection(rps=(3.0,)), Options())


@pytest.mark.parametrize(
    ("text", "values"),
    [("2.6:3.2:0.2", (2.6, 2.8, 3.0, 3.2)), ("3,4.5", (3.0, 4.5)), ("4", (4.0,)), ("1:1.9:0.5", (1.0, 1.5))],
)
def test_ranges(text, values):
    assert parse_values(text) == values


@pytest.mark.parametrize("text", ["", "x", "1:2", "1:2:0", "2:1:0.5", "-1", "nan", "inf", "1:1e9:1e-9", "0"])
def test_ranges_that_are_none(text):
    with pytest.raises(InputError, match="--rps"):
        parse_values(text)


def test_systems_as_typed():
    assert split_systems(["vtc,fcfs", "order=vtc,spec=adaserve"]) == ("vtc", "fcfs", "order=vtc,spec=adaserve")


def test_backends():
    assert [check_backend(name) for name in ("auto", "sim", "native")] == ["auto", "sim", "native"]
    with pytest.raises(InputError, match="known: auto, native, sim"):
        check_backend("vlm")


def test_platforms_by_backend():
    fig8 = find_figure("fig8")
    assert [platform.name for platform in platforms_of(fig8, (), Options())] == ["llama", "qwen"]
    assert platforms_of(fig8, (), Options("native")) == [TINY]
    with pytest.raises(InputError, match="a command of its own"):
        platforms_of(fig8, ("llama", "tiny"), Options())


@pytest.mark.parametrize(("backend", "settled"), [("auto", "native"), ("native", "native"), ("sim", "sim")])
def test_a_local_model_runs_natively_unless_asked_otherwise(backend, settled):
    options = options_for(find_figure("fig8"), Options(backend), [TINY])
    assert (options.backend, options.calibration) == (settled, "measured")


def test_options_are_those_of_the_figure():
    figure = find_figure("vtc/fig3")
    settled = options_for(figure, Options(), [S1])
    assert (settled.calibration, settled.backend) == (figure.calibrations[0], "sim")
    for wrong, word in (
        (Options(calibration="scaled"), "calibration"),
        (Options(traces=Path("traces")), "traces"),
        (Options("native"), "no model of this machine in the place of llama"),
        (Options(weights="widened"), "a simulation has no weights"),
    ):
        with pytest.raises(InputError, match=word):
            options_for(figure, wrong, [S1])
    lenient = options_for(figure, Options(calibration="scaled", traces=Path("traces")), [S1], lenient=True)
    assert (lenient.calibration, lenient.traces) == (figure.calibrations[0], None)


def test_folder_names_stay_inside_and_apart():
    assert folder_name("vllm-spec-4") == "vllm-spec-4"
    assert folder_name("order=vtc,spec=adaserve") == "order=vtc,spec=adaserve"
    hostile = [folder_name(text) for text in ("..", "vtc(a=../b)", "vtc(a=.._b)", "x" * 300)]
    assert all("/" not in name and name not in ("..", ".") and len(name) < 120 for name in hostile)
    assert len(set(hostile)) == len(hostile)
