"""From the command to the records of a native run, on a small pair."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import cli
import exps.papers.adaserve.workloads
import exps.papers.vtc.fig3
from engine.errors import InputError
from engine.executors.simulated.measured import MISSED
from engine.system import parse_system
from exps.calibrate import acceptance, tuning
from exps.figures.figure import Options
from exps.run.local import TINY, capacity_rps, is_measured, measured
from exps.run.native.models import load_prompts
from exps.run.native.serving import serve_natively
from exps.run.serving import Setup
from exps.validate import native as against_native
from exps.workload.adaserve import local_timetable
from exps.workload.timetable import timetable


@pytest.fixture
def options(profiles: Path) -> Options:
    return Options("native", "measured", quick=True, profiles=profiles)


def few(prompt: bool = True) -> pl.DataFrame:
    lengths = {"prompt_tokens": [30, 12, 5], "output_tokens": [9, 4, 6]}
    columns = {"arrival_s": [0.0, 0.0, 0.02], "client": ["a", "b", "a"], **lengths}
    return timetable(columns | ({"prompt": [0, 3, 1]} if prompt else {}))


@pytest.mark.parametrize("system", ["vllm", "sarathi", "vllm-spec-4", "adaserve", "vtc", "order=vtc,spec=adaserve"])
@pytest.mark.parametrize("prompt", [True, False])
def test_every_system_serves_the_timetable(system: str, prompt: bool, profiles: Path) -> None:
    rows = few(prompt)
    outcome = serve_natively(rows, Setup(parse_system(system), "tiny", "cpu", "measured", backend="native", profiles=profiles))
    records = outcome.requests
    assert (records["status"] == "finished").all()
    assert records["output_tokens"].to_list() == rows["output_tokens"].to_list()
    assert (records["first_token_s"] > records["arrival_s"]).all()
    assert outcome.facts["steps"] > 0 and 0 < outcome.facts["busy_s"] <= outcome.facts["end_s"]


def test_a_run_that_ends_early_leaves_the_rest_unfinished(profiles: Path) -> None:
    rows = few().with_columns(arrival_s=pl.Series([0.0, 0.0, 600.0]))
    setup = Setup(parse_system("vllm"), "tiny", "cpu", "measured", backend="native", profiles=profiles, until_s=1.5)
    with_late = serve_natively(rows.with_columns(output_tokens=pl.Series([4, 4, 4])), setup)
    assert with_late.requests["status"].to_list() == ["finished", "finished", "unfinished"]


def test_the_profile_says_what_it_is(options: Options, profiles: Path) -> None:
    assert is_measured(TINY, profiles)
    deployment = measured(TINY, options)
    assert deployment.baseline_tpot_s > 0 and deployment.draft is not None
    assert list(deployment.line.seconds) == sorted(deployment.line.seconds)
    policy = deployment.policies["adaserve"]
    assert policy["budget"] in tuning.QUICK_CPU_BUDGETS and tuple(policy["depth"]) in tuning.DEPTHS


def test_a_profile_of_another_machine_is_not_taken_for_ours(options: Options, profiles: Path) -> None:
    path = profiles / "deployments" / "tiny@cpu.toml"
    path.write_text(path.read_text().replace("cli.py profile on", "cli.py profile on another"))
    with pytest.raises(InputError, match=r"cli\.py profile --model tiny"):
        measured(TINY, options)


def test_capacity_is_in_requests_a_second(options: Options) -> None:
    one, many = few().head(1), pl.concat([few().head(1)] * 50)
    alone = capacity_rps(one, "vllm", TINY, options, None)
    assert capacity_rps(many, "vllm", TINY, options, None) > alone > 0


def test_the_local_workload_is_the_papers_with_our_baseline(small_pair: Path) -> None:
    texts = load_prompts("tiny", "own").lengths()
    made = local_timetable(20.0, 30.0, 0.010, 0, texts, context=1500)
    assert made.height == 600 and made["arrival_s"][-1] == pytest.approx(30.0)
    shares = made.group_by("category").len().sort("category")["len"].to_list()
    assert shares == pytest.approx([120, 360, 120], abs=40)
    slos = dict(made.group_by("category").agg(pl.col("slo_tpot_s").first()).iter_rows())
    assert slos == pytest.approx({"coding": 0.012, "chat": 0.010 * 50 / 30, "summarization": 0.05})
    lengths = dict(text for of_kind in texts.values() for text in of_kind)
    assert all(lengths[number] == tokens for number, tokens in made.select("prompt", "prompt_tokens").iter_rows())
    assert (made["prompt_tokens"] + 256 <= 1500).all()
    shorter = local_timetable(20.0, 30.0, 0.010, 0, texts, context=256 + max(made["prompt_tokens"]) - 1)  # type: ignore[operator]
    assert max(shorter["prompt_tokens"]) < max(made["prompt_tokens"])  # type: ignore[operator]


def test_what_the_pair_accepts_is_measured(small_pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "TEXTS", 2)
    found = acceptance.measure_acceptance("tiny", lambda part: None)
    assert found.kinds == ("coding", "chat", "summarization") and set(found.beams) == {1, 2, 3}
    first = [(beams.hit[:, 0] != MISSED).mean() for beams in found.beams.values()]
    assert first == sorted(first) and 0.1 < first[0] < 1
    for beams in found.beams.values():
        gone = beams.hit == MISSED
        assert (gone[:, :-1] <= gone[:, 1:]).all(), "a hit after a miss"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exps.papers.adaserve.workloads, "LOCAL_QUICK_S", 0.3)
    monkeypatch.setattr(exps.papers.vtc.fig3, "LOCAL_QUICK_S", 1.0)


def test_figure_8_from_the_command_line(
    small_pair: Path, short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "fig8", "--model", "tiny", "--system", "vllm,adaserve", "--quick", "--results", str(tmp_path / "r")]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "NATIVE, real tokens" in said and "fig8-native-quick" in said
    manifests = sorted((tmp_path / "r" / "adaserve" / "fig8" / "native-cpu-quick").rglob("manifest.json"))
    assert len(manifests) == 4
    asked = json.loads(manifests[0].read_text())["configuration"]
    assert (asked["backend"], asked["weights"]) == ("native", "own") and asked["machine"] and asked["measured"]
    assert cli.main(command) == 0
    assert "nothing to run" in capsys.readouterr().out
    assert cli.main(["run", "fig8", *command[2:], "--backend", "sim"]) == 0
    assert "SIMULATION" in capsys.readouterr().out


def test_vtc_figure_3_from_the_command_line(profiles: Path, short: None) -> None:
    results = profiles.parent
    command = ["run", "vtc/fig3", "--model", "tiny", "--backend", "native", "--quick", "--results", str(results)]
    assert cli.main(command) == 0
    assert list((results / "vtc" / "fig3").glob("fig3a-native*.png"))


def test_validation_prints_every_metric(
    profiles: Path, short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["validate", "--native", "--quick", "--json", "--results", str(profiles.parent)]) in (0, 1)
    rows = json.loads(capsys.readouterr().out)
    assert {row["system"] for row in rows} == set(against_native.SYSTEMS)
    assert {row["metric"] for row in rows} == set(against_native.LIMITS)
