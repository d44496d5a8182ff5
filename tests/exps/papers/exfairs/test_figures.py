"""ExFairS's figures from the command line, in quick runs of a few systems."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

import cli
from exps.figures.figure import Options
from exps.papers.exfairs.figures import EXFAIRS_FIGURES
from exps.papers.exfairs.pictures import COLOURS, MARKERS, client_strokes
from exps.papers.exfairs.scenarios import DEC
from exps.papers.exfairs.setup import EXFAIRS, FCFS, PERIOD_S, SETTINGS, SYSTEMS, TESTBED, TITLES, VARIANTS
from exps.workload.exfairs import SCENARIOS
from plots.sheets import Stroke


def run(tmp_path, capsys, figure, *arguments):
    """The names of the pictures of a quick run, and the claims."""
    fixed = ["--results", str(tmp_path), "--quick", *arguments]
    assert cli.main(["run", figure, "--jobs", "1", *fixed]) == 0
    lines = capsys.readouterr().out.splitlines()
    pictures = [line.rsplit("/", 1)[1] for line in lines if line.startswith("Picture: ") and line.endswith(".png")]
    assert cli.main(["check", figure, "--json", *fixed]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    return pictures, document["claims"]


def test_a_scenario_figure_draws_all_sheets_of_its_first_scenario_and_compares_in_the_others(tmp_path, quick_records):
    metrics = DEC.measure(quick_records("exfairs/dec", EXFAIRS, FCFS, points=2, settings=("seats-16",)))
    pictures = DEC.draw(metrics, lambda rows: "simulated", tmp_path, "x")
    kinds = ("performance", "fairness", "aggregated", "comparison")
    sheets = [*(f"dec-1-seats-16-{sheet}-x" for sheet in kinds), "dec-3-seats-16-comparison-x"]
    assert [path.name for path in pictures] == [f"{sheet}.{kind}" for sheet in sheets for kind in ("pdf", "png")]
    assert all(path.stat().st_size > 5_000 for path in pictures)


@pytest.mark.parametrize("figure", ["exfairs/alpha", "exfairs/ablation"])
def test_a_sweep_draws_one_picture_and_judges_each_place(figure, tmp_path, capsys):
    arguments = ["--setting", "dec-1,dec-1-bounded", "--system", "exfairs"]
    pictures, claims = run(tmp_path, capsys, figure, *arguments)
    assert len(pictures) == 1
    assert {claim["setting"] for claim in claims} == {"dec-1", "dec-1-bounded"}


def test_every_figure_stands_on_the_same_testbed_and_period():
    for figure in EXFAIRS_FIGURES:
        assert {(platform.model, platform.hardware) for platform in figure.platforms} == {("qwen2.5-32b", "8xv100-32g")}
        assert all(setting.policies["exfairs"]["round_s"] == PERIOD_S for setting in figure.settings)
    assert {scenario.period_s for scenario in SCENARIOS.values()} == {PERIOD_S}


def test_a_place_admits_as_many_as_the_artifact_or_the_fewest_that_cost_nothing():
    limits = {setting.name: setting.policies for setting in SETTINGS}
    assert {name: limit["vllm"]["max_sequences"] for name, limit in limits.items() if "vllm" in limit} == {
        "dec-1": 128, "early-3-bounded": 16, "dec-1-bounded": 16,
    }


def test_a_swept_value_reaches_the_workload_or_the_policy():
    slo, load, alpha = (
        next(f for f in EXFAIRS_FIGURES if f.id == f"exfairs/{name}") for name in ("slo-sweep", "load-sweep", "alpha")
    )
    place, options = replace(TESTBED, setting=SETTINGS[0]), Options(quick=True)
    half, twice = (slo.timetable(place, x, options)["slo_s"] for x in (0.5, 2.0))
    assert (4 * half).to_list() == twice.to_list()
    assert load.timetable(place, 0.5, options).height < 0.6 * load.timetable(place, 1.0, options).height
    assert alpha.policies is not None and alpha.policies(0.3)["exfairs"] == {"alpha": 0.3}


def test_systems_that_stand_together_differ_in_colour_and_marker():
    assert set(COLOURS) == set(TITLES) and len(set(MARKERS.values())) == len(MARKERS)
    for together in (SYSTEMS, (*VARIANTS, *SYSTEMS[2:5])):
        assert len({COLOURS[system] for system in together}) == len(together)


def test_the_legend_names_few_clients_and_counts_many():
    def strokes(kind, count):
        return client_strokes(pl.DataFrame({"client": [f"{kind}_{i}" for i in range(count)], "kind": [kind] * count}))

    few, none = strokes("long", 4)
    assert [stroke.label for stroke in few.values()] == ["long 0", "long 1", "long 2", "long 3"] and none == []
    assert len({stroke.colour for stroke in few.values()}) == 4 and {stroke.line for stroke in few.values()} == {"--"}
    many, entries = strokes("mix", 50)
    assert len(many) == 50 and all(stroke.label is None for stroke in many.values())
    assert entries == [Stroke("#666666", "50 mix clients", ":")]


def test_a_figure_without_its_own_policy_is_drawn_and_not_judged(tmp_path, capsys):
    pictures, claims = run(tmp_path, capsys, "exfairs/dec", "--at", "1", "--system", "vtc")
    assert pictures and {claim["verdict"] for claim in claims} == {"not judged"}
