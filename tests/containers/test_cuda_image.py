"""The cuda image on a base without CUDA: everything that needs neither CUDA's tools nor a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from hosting import living
from tests.containers.engine import ROOT, certificates, cli

PINS = {"torch": "2.6.0+cu124", "triton": "3.2.0", "vllm": "0.8.5.post1", "flashinfer": "0.2.5"}
IMPORTS = """
import importlib, torch, transformers
from importlib import metadata
from vllm.v1.core.sched.scheduler import Scheduler
for name in ("torch", "triton", "vllm"):
    print(name, importlib.import_module(name).__version__)
print("flashinfer", metadata.version("flashinfer-python"))
assert torch.version.cuda == "12.4" and transformers.__version__ < "4.54"
"""


@pytest.fixture(scope="module")
def built_cuda(request, engine, checkout, base):
    if not request.config.getoption("--cuda") and not os.environ.get("CI"):
        pytest.skip("downloads 5 GB; ask for it with pytest --cuda")
    words = ("build", "--target", "cuda", "--base", base, "--network", "host", *certificates())
    return cli(checkout, *words, timeout=1500)


def locked() -> list[list[str]]:
    """The words of each pin."""
    blocks = (ROOT / "requirements.txt").read_text().replace("\\\n", "").splitlines()
    return [line.split() for line in blocks if line and not line.lstrip().startswith("#")]


def test_requirements_are_pinned_with_hashes_and_have_the_images_versions():
    pins = locked()
    assert len(pins) > 150
    assert all("==" in words[0] and any(word.startswith("--hash=sha256:") for word in words) for words in pins)
    named = dict(words[0].split("==") for words in pins)
    assert (named["torch"], named["triton"], named["vllm"]) == ("2.6.0", "3.2.0", "0.8.5.post1")
    assert named["flashinfer-python"] == "0.2.5"
    assert tuple(map(int, named["transformers"].split("."))) < (4, 54)


def test_requirements_have_all_that_the_engine_imports_and_what_triton_imports_unasked():
    named = {words[0].partition("==")[0] for words in locked()}
    imported = set()
    for path in (ROOT / "engine").rglob("*.py"):
        imported.update(re.findall(r"^\s*(?:from|import) ([a-z_]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE))
    packages = {name.replace("_", "-") for name in imported - set(sys.stdlib_module_names) - {"engine", "tomllib"}}
    assert {"torch", "triton", "numpy", "safetensors", "tokenizers", "huggingface-hub"} <= packages
    of_another_name = {"flashinfer": "flashinfer-python"}
    assert {of_another_name.get(name, name) for name in packages} | {"setuptools"} <= named


def test_requirements_name_no_host():
    for name in ("requirements.txt", "requirements/cpu.lock"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_the_base_of_the_cuda_image_is_pinned_by_tag_and_digest():
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert "ARG CUDA_BASE=nvidia/cuda:12.4.1-devel-ubuntu22.04@sha256:" in dockerfile


def test_the_image_holds_exactly_the_locked_packages(built_cuda, engine):
    script = "pip list --format freeze --exclude pip"
    listed = subprocess.run(
        [*engine.program, "run", "--rm", "--network", "none", "servelab:cuda", "sh", "-c", script],
        capture_output=True, text=True, check=True,
    ).stdout.split()
    assert {line.lower().replace("_", "-") for line in listed} == {words[0].replace("_", "-") for words in locked()}


def test_the_stack_imports_without_a_gpu(built_cuda, engine):
    run = [*engine.program, "run", "--rm", "--network", "none", "servelab:cuda", "python", "-c", IMPORTS]
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    found = dict(line.split() for line in said.stdout.splitlines() if line.split()[0] in PINS)
    assert found == PINS


def test_smoke_runs_its_lines_in_it_without_a_gpu(built_cuda, engine):
    run = [*engine.program, "run", "--rm", "--network", "none", "servelab:cuda", "python", "docker/smoke", "--device", "cpu"]
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr, len(said.stdout.splitlines())) == (0, "", 4)


def test_figures_run_in_it_without_a_gpu(built_cuda, checkout, engine, tmp_path):
    name = f"servelab-cuda-{os.getpid()}"
    cli(checkout, "start", "--target", "cuda", "--gpus", "none", "--name", name, "--models", tmp_path)
    try:
        words = ("--model", "tiny", "--system", "adaserve,vllm", "--rps", "2", "--quick", "--results", "results/cuda")
        done = cli(checkout, "run", "fig8", "--backend", "native", *words, timeout=600)
        assert "NATIVE, real tokens" in done.stdout
        assert '"torch": "2.6.0' in next((checkout / "results" / "cuda").rglob("adaserve/rps-2/manifest.json")).read_text()
    finally:
        for thing in living.things(engine):
            if thing.name == name:
                living.remove(engine, thing)
