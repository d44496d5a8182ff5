"""Profiles of models, hardware and deployments, and what a person hears who mistypes one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.executors.simulated import profiles
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost, Line
from engine.executors.simulated.profiles import (
    ROOT,
    Calibration,
    load_deployment,
    load_hardware,
    load_model,
    models,
    roofline,
)

DEVICES = sorted(path.stem for path in (ROOT / "hardware").glob("*.toml"))
DEPLOYMENTS = sorted(path.stem for path in (ROOT / "deployments").glob("*.toml"))


@pytest.fixture
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the profiles that a test may spoil."""
    root = Path(shutil.copytree(ROOT, tmp_path / "profiles"))
    monkeypatch.setattr(profiles, "ROOT", root)
    return root


@pytest.mark.parametrize("name", models())
def test_every_shipped_model_has_the_context_it_was_published_for(name: str) -> None:
    published = {"llama-2": 4096, "llama-3": 131_072, "qwen2.5": 32_768}
    assert load_model(name).context == next(tokens for family, tokens in published.items() if name.startswith(family))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_shipped_deployment_loads(name: str) -> None:
    deployment = load_deployment(*name.split("@"))
    assert deployment.kv_tokens > 0 and deployment.baseline_tpot_s > 0 and deployment.context_s > 0
    for calibration in deployment.calibrations:
        for speculation in ("plain", "chains", "trees"):
            assert deployment.step_cost(speculation, calibration).line(1) > 0


@pytest.mark.parametrize(("model", "device", "gpus"), list(product(models(), DEVICES, (1, 2, 4))))
def test_the_roofline_is_positive_and_grows_with_the_tokens(model: str, device: str, gpus: int) -> None:
    line = roofline(load_model(model), load_hardware(device)[0], gpus)
    seconds = [line(tokens) for tokens in (1, 8, 32, 100, 300, 1000, 2048, 4096)]
    assert seconds[0] > 0
    assert all(less <= more for less, more in pairwise(seconds)) and seconds[0] < seconds[-1]


def test_more_gpus_share_the_work_and_a_larger_model_has_more_of_it() -> None:
    device, _ = load_hardware("a100-80g")
    large, small = load_model("llama-3.1-70b"), load_model("llama-3.1-8b")
    for tokens in (1, 2048):
        assert roofline(large, device, 4)(tokens) < roofline(large, device, 2)(tokens)
        assert roofline(small, device, 1)(tokens) < roofline(large, device, 1)(tokens)


def test_a_prefix_counts_the_gpus() -> None:
    assert load_hardware("4xa100-80g") == (load_hardware("a100-80g")[0], 4)
    assert load_hardware("a100-80g")[1] == 1


def test_what_was_not_measured_comes_from_first_principles() -> None:
    deployment = load_deployment("llama-3.1-8b", "2xh200")
    assert list(deployment.calibrations) == ["first-principles"]
    assert deployment.draft is None and not deployment.policies
    assert deployment.calibration("first-principles").acceptance is None
    assert deployment.line == roofline(deployment.model, deployment.hardware, 2)
    assert deployment.baseline_tpot_s == deployment.line(1)
    memory = deployment.kv_tokens * deployment.model.kv_bytes_per_token + deployment.model.weight_bytes
    assert memory == pytest.approx(0.9 * 2 * deployment.hardware.memory_bytes, rel=1e-4)


@pytest.mark.parametrize(
    ("model", "hardware", "sentence"),
    [
        ("llama-2-7c", "a10g", r"unknown model 'llama-2-7c'; did you mean llama-2-7b"),
        ("llama-2-7b", "a10", r"unknown hardware 'a10'; did you mean a10g"),
        ("llama-2-7b", "4xa10", r"unknown hardware 'a10'; did you mean a10g"),
        ("llama-2-7b", "0xa10g", "hardware '0xa10g'"),
        ("llama-2-7b", "", "unknown hardware ''"),
        ("../models/llama-2-7b", "a10g", "unknown model"),
        ("llama-3.1-70b", "a10g", r"llama-3.1-70b@a10g: the weights leave no room for a KV cache; .* such as 2x"),
    ],
)
def test_unknown_names_get_one_sentence(model: str, hardware: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_deployment(model, hardware)


def test_an_unknown_calibration_gets_the_nearest_names() -> None:
    deployment = replace(load_deployment("llama-2-7b", "a10g"), calibrations={"scaled": Calibration("x")})
    with pytest.raises(InputError, match=r"unknown calibration 'scale'; did you mean scaled\?"):
        deployment.calibration("scale")


ACCEPTANCE = "[calibration.x]\nfitted_on = ''\n[calibration.x.acceptance]"


@pytest.mark.parametrize(
    ("file", "line", "sentence"),
    [
        ("hardware/a10g.toml", "bandwith = 1", "profile of a10g: unknown key 'bandwith'; did you mean bandwidth"),
        ("models/llama-2-7b.toml", "layer = 1", "profile of llama-2-7b: unknown key 'layer'; did you mean layers"),
        ("deployments/llama-2-7b@a10g.toml", "kv_token = 1", "llama-2-7b@a10g: unknown key 'kv_token'; did you mean"),
        ("fitted/llama-2-7b@a10g.toml", f"{ACCEPTANCE}\nmeen = 1", "llama-2-7b@a10g: unknown key 'meen'; .* mean"),
        ("fitted/llama-2-7b@a10g.toml", f"{ACCEPTANCE}\nmean = 2", "llama-2-7b@a10g: not an acceptance model"),
        ("fitted/llama-2-7b@a10g.toml", "[calibration.x]\nhost = 1", "llama-2-7b@a10g: unknown key 'host'; .*host_s"),
        ("fitted/llama-2-7b@a10g.toml", "[policies", r"a10g.toml: .*; correct the file"),
    ],
)
def test_a_spoilt_profile_gets_one_sentence(own_profiles: Path, file: str, line: str, sentence: str) -> None:
    path = own_profiles / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    with pytest.raises(InputError, match=sentence):
        load_deployment("llama-2-7b", "a10g")


def test_fitted_numbers_replace_facts_key_by_key(own_profiles: Path) -> None:
    (own_profiles / "deployments/llama-3.1-8b@h200.toml").write_text(
        'kv_tokens = 777\ndraft = "llama-3.2-1b"\n[policies.adaserve]\nbudget = 5\nwidth = [1, 2]\n'
    )
    (own_profiles / "fitted/llama-3.1-8b@h200.toml").write_text(
        "[policies.adaserve]\nbudget = 6\n[calibration.one]\nfitted_on = 'a run'\n[calibration.one.acceptance]\nmean = 0.5\n"
        "[calibration.one.policies.adaserve]\nc1 = 7\n"
    )
    deployment = load_deployment("llama-3.1-8b", "h200")
    assert deployment.kv_tokens == 777
    assert deployment.policies == {"adaserve": {"budget": 6, "width": [1, 2]}}
    one = Calibration("a run", acceptance=AcceptanceModel(0.5), policies={"adaserve": {"c1": 7}})
    assert deployment.calibrations == {"one": one}
    assert deployment.policies_under("one") == {"adaserve": {"budget": 6, "width": [1, 2], "c1": 7}}
    assert deployment.draft is not None and deployment.draft.step_s > 0


def test_a_calibration_scales_steps_by_speculation() -> None:
    fitted = Calibration("x", scale={"chains": 3.0}, step_factor=2.0, host_s=0.5)
    deployment = replace(
        load_deployment("llama-2-7b", "a10g"),
        line=Line((0, 1), (1.0, 2.0)),
        context_s=0.1,
        draft=DraftCost(1.0, 1.0),
        calibrations={"x": fitted},
        expands_chains=True,
    )
    off, chain, tree = (deployment.step_cost(name, "x") for name in ("plain", "chains", "trees"))
    assert not replace(deployment, expands_chains=False).step_cost("chains", "x").expands_batch
    assert (off.scale, chain.scale, tree.scale) == (1.0, 3.0, 1.0)
    assert off.line.seconds == (2.0, 4.0) and off.context_s == 0.2 and off.host_s == 0.5
    assert off.draft is None and chain.draft == tree.draft == DraftCost(1.0, 1.0)
    assert chain.expands_batch and not tree.expands_batch


def test_exfairs_testbed_has_the_memory_that_its_artifact_leaves_to_the_cache() -> None:
    """0.8 of eight GPUs, less the weights; nothing was measured there, so that steps follow from the data sheet."""
    deployment = load_deployment("qwen2.5-32b", "8xv100-32g")
    memory = deployment.kv_tokens * deployment.model.kv_bytes_per_token + deployment.model.weight_bytes
    assert memory == pytest.approx(0.8 * 8 * deployment.hardware.memory_bytes, rel=1e-5)
    assert deployment.line == roofline(deployment.model, deployment.hardware, 8)
    assert deployment.policies_under("first-principles")["vllm"] == {"max_sequences": 128, "max_batched_tokens": 8124}
