"""Fits find the numbers that made their data."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer
from scipy.special import expit, logit

import cli
from engine.configuration import read_toml
from engine.executors.simulated import profiles
from engine.executors.simulated.acceptance import AcceptanceModel
from exps.calibrate import adaserve as adaserve_fit
from exps.calibrate import fairserve as fairserve_fit
from exps.calibrate import vtc as vtc_fit
from exps.calibrate.adaserve import Trees, chain_acceptance, published_rates
from exps.calibrate.kinds import REQUESTS, Kinds, counted, fit_kinds, public_distances, tokens_a_verification
from exps.calibrate.store import store
from exps.calibrate.vtc import fit_decode, fit_prefill, profile_rows
from exps.figures.figure import Platform
from exps.papers.adaserve.evaluation import PLATFORMS
from exps.workload.adaserve_loads import CATEGORIES


def made_profile() -> dict[str, dict[str, tuple[int, float, float]]]:
    """A cost profile in the artifact's form, from known numbers: 30 ms + 0.05 ms a request + 1 us a token; 40 + 27 ms."""
    profile: dict[str, dict[str, tuple[int, float, float]]] = {}
    for given, large in ((8, 130), (64, 110), (256, 90), (512, 70)):
        for produced, batch in ((64, 20), (128, 40), (192, 60), (256, large)):
            step = 0.030 + 5e-5 * batch + 1e-6 * batch * (given + (produced + 1) / 2) + (0.01 if batch > 64 else 0)
            prefill = 0.040 + 0.027 * float(np.ceil(given * batch / 128))
            profile.setdefault(str(given), {})[str(produced)] = (batch, prefill / batch, produced * step / batch)
    return profile


def test_the_decode_line_and_the_prefill_are_found_again() -> None:
    rows = profile_rows(made_profile())
    line, prefill = fit_decode(rows), fit_prefill(rows)
    assert line(1) == pytest.approx(0.030 + 5e-5, rel=1e-3) and line(64) == pytest.approx(0.030 + 64 * 5e-5, rel=1e-3)
    assert line(100) == pytest.approx(0.030 + 100 * 5e-5 + 0.01, rel=0.02)
    assert (prefill.fixed_s, prefill.tile_s) == (pytest.approx(0.040), pytest.approx(0.027))


def test_chain_acceptance_is_figure_12s_level_over_the_length() -> None:
    llama, qwen = (chain_acceptance(platform) for platform in PLATFORMS)
    assert llama == pytest.approx({4: 0.843, 6: 0.834, 8: 0.827}, abs=0.001)
    assert qwen == pytest.approx({4: 0.743, 6: 0.727, 8: 0.716}, abs=0.001)
    assert [len(published_rates(platform)) for platform in PLATFORMS] == [12, 10]


@pytest.mark.parametrize(("coding", "spread"), [(0.93, 0.6), (0.88, 0.9), (0.7, 0.3)])
def test_acceptance_by_kind_is_found_again(coding: float, spread: float) -> None:
    away = np.array(list(public_distances().values()))
    chances = expit(logit(coding) + away[:, None] + spread * REQUESTS)
    shares = np.array([[category.share / len(REQUESTS)] for category in CATEGORIES])
    found = fit_kinds({n: counted(chances, shares, n) for n in (4, 6, 8)})
    assert found.by_kind["coding"] == pytest.approx(coding, abs=0.002) and found.spread == pytest.approx(spread, abs=0.02)
    assert list(found.by_kind.values()) == sorted(found.by_kind.values(), reverse=True)


def test_the_public_tables_say_that_code_is_drafted_best_and_summaries_worst() -> None:
    found = public_distances()
    assert found == pytest.approx({"coding": 0.0, "chat": -1.104, "summarization": -1.307}, abs=0.001)
    assert tokens_a_verification(0.5, 2) == pytest.approx(1.75)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_profiles_hold_what_the_fit_finds_of_kinds(platform: Platform) -> None:
    kinds = fit_kinds(chain_acceptance(platform))
    acceptance = profiles.load_deployment(platform.model, platform.hardware).calibration("scaled").acceptance
    assert isinstance(acceptance, AcceptanceModel)
    assert acceptance.by_kind == pytest.approx(kinds.by_kind) and acceptance.spread == kinds.spread


def test_what_is_stored_is_what_the_simulator_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(mean=0.8, kinds=Kinds({"chat": 0.6}, 0.5), later_share=0.4, c1=25.0)
    table = {"fitted_by": "a test", "calibration": {"one": {"fitted_on": "nothing", "scale": {"plain": 0.9}, **trees.table()}}}
    for folder in ("hardware", "models", "deployments"):
        (tmp_path / folder).symlink_to(profiles.ROOT / folder)
    path = store("llama-3.1-70b@4xa100-80g", table, tmp_path / "fitted")
    assert read_toml(path) == table
    monkeypatch.setattr(profiles, "ROOT", tmp_path)
    deployment = profiles.load_deployment("llama-3.1-70b", "4xa100-80g")
    acceptance = deployment.calibration("one").acceptance
    assert acceptance == AcceptanceModel(0.8, later_share=0.4, by_kind={"chat": 0.6}, spread=0.5)
    assert deployment.policies_under("one")["adaserve"]["c1"] == 25 and deployment.step_cost("plain", "one").scale == 0.9


@pytest.mark.parametrize("path", sorted((profiles.ROOT / "fitted").glob("*.toml")), ids=lambda path: path.stem)
def test_what_fitted_a_profile_is_a_command(path: Path) -> None:
    program, name, *arguments = read_toml(path)["fitted_by"].split()
    command = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, arguments)
    assert program == "cli.py" and any(value is not None for value in context.params.values())


@pytest.mark.parametrize("module", [vtc_fit, adaserve_fit, fairserve_fit])
def test_a_fit_writes_the_command_that_the_profiles_have(module: ModuleType) -> None:
    there = {read_toml(path)["fitted_by"] for path in (profiles.ROOT / "fitted").glob("*.toml")}
    assert module.COMMAND in there


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_scaled_calibration_declares_three_numbers_a_model(platform: Platform) -> None:
    deployment = profiles.load_deployment(platform.model, platform.hardware)
    assert set(deployment.calibration("scaled").scale) == {"plain", "chains", "trees"}
    assert not deployment.calibration("first-principles").scale


def test_the_share_at_which_attention_reads_is_the_a10gs_fitted_one() -> None:
    measured = profiles.load_deployment("llama-2-7b", "a10g")
    rate = measured.model.kv_bytes_per_token / measured.context_s
    share = rate / measured.hardware.bandwidth_bytes_per_s
    for name in ("a10g", "a100-80g", "h200"):
        assert profiles.load_hardware(name)[0].kv_share == pytest.approx(share, abs=0.005)
