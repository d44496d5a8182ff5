"""What a person is told before real tokens are made: the device, the weights, how many points, how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

import cli
import exps.commands.run
import exps.papers.adaserve.workloads
import exps.run.local
from engine.errors import InputError
from exps.commands.planning import asked_of, plan_figures
from exps.commands.run import measure_where_needed
from exps.figures.figure import Options, Selection
from exps.report import Reporter, duration
from exps.run.backends import NATIVE
from exps.run.local import LLAMA_8B, TINY
from exps.run.native import models
from exps.run.plan import estimate_s, unique_jobs
from hosting.device import CPU, Device

H100 = Device("2xh100", "2 x NVIDIA H100", 2, "bfloat16", 2)


@pytest.fixture
def measured_gpus(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two GPUs, measured with the tiny pair and with an 8B model."""
    for folder, old, new in (("deployments", "tiny@cpu", "tiny@2xh100"), ("deployments", "tiny@cpu", "llama-3.1-8b@2xh100"),
                             ("hardware", "cpu", "h100"), ("models", "tiny", "llama-3.1-8b")):
        text = (profiles / folder / f"{old}.toml").read_text()
        (profiles / folder / f"{new}.toml").write_text(text.replace(CPU.title, H100.title))
    monkeypatch.setattr(exps.run.local, "device_for", lambda weight_bytes, asked: H100)
    monkeypatch.setattr(exps.papers.adaserve.workloads, "GPU_S", 20.0)
    monkeypatch.setattr(exps.papers.adaserve.workloads, "SETTLED", 100.0)
    return profiles


def shown(model: str, options: Options, root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    plans = plan_figures("fig8", Selection((model,), ("vllm", "sarathi")), options, root)
    Reporter().plans(plans, estimate_s(unique_jobs(plans), 1))
    return " ".join(capsys.readouterr().out.split())


def test_native_points_tell_device_weights_count_and_time(
    measured_gpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is loaded to plan them, nor is a rank started."""
    loading = Mock(side_effect=AssertionError("it is only planned"))
    monkeypatch.setattr(models, "load_pair", loading)
    monkeypatch.setattr(models, "Ranks", loading)
    text = shown("tiny", Options(profiles=measured_gpus, device="2xgpu"), tmp_path, capsys)
    assert "tiny: real tokens of its own weights in bfloat16 on 2 x NVIDIA H100; 6 points to do." in text
    assert "Estimated time: 3 min, beside loading models and warming up." in text
    wide = shown("llama-8b", Options(profiles=measured_gpus, weights="widened", quick=True), tmp_path, capsys)
    assert "llama-8b: real tokens of WIDENED weights, the tiny pair's function in the model's shape, in bfloat16 on" in wide
    assert "4 points to do." in wide


def test_simulated_points_of_this_machine_tell_nothing_of_it(
    measured_gpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "real tokens" not in shown("tiny", Options("sim", profiles=measured_gpus, quick=True), tmp_path, capsys)


def test_what_would_be_downloaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    platform = replace(LLAMA_8B, device=H100)
    assert NATIVE.notice(platform, Options()).endswith("on 2 x NVIDIA H100, 18.5 GB of which are downloaded first")
    for quiet in (NATIVE.notice(platform, Options(weights="widened")), NATIVE.notice(TINY, Options())):
        assert "downloaded" not in quiet


def test_a_measurement_is_announced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exps.commands.run, "profile", asked := Mock())
    measure_where_needed("fig8", Selection(("tiny",)), Options(profiles=tmp_path), Reporter())
    said = capsys.readouterr().out
    assert said.startswith(f"tiny: real tokens of its own weights in float32 on {CPU.title}; it was not measured here yet")
    assert asked.call_count == 1
    monkeypatch.setattr(exps.run.local, "memory_bytes", lambda: 10**9)
    with pytest.raises(InputError, match="in float32 and this machine has 1 GB"):
        measure_where_needed("fig8", Selection(("llama-8b",)), Options(profiles=tmp_path, device="cpu"), Reporter())
    assert capsys.readouterr().out == "" and asked.call_count == 1


def test_all_stays_simulated() -> None:
    asked = asked_of("all", Selection(), Options(quick=True))
    assert {(options.backend, options.weights) for _, _, options, _ in asked} == {("sim", "own")}
    assert not any(point.platform.local for _, points, _, _ in asked for point in points)


def test_widened_weights_are_never_chosen_for_a_person(small_pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "fig8", "--model", "llama", "--weights", "widened"]) == 2
    assert "a simulation has no weights" in capsys.readouterr().err


def test_hours_are_told_as_hours() -> None:
    assert [duration(seconds) for seconds in (40, 180, 5900, 9000)] == ["40 s", "3 min", "98 min", "2.5 h"]
