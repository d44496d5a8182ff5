"""docker/smoke: its lines on the processor, and the sentence and exit code where something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from tests.containers.engine import ROOT
from tests.hosting.smi import put_smi, smi

LINES = ("doctor", "attention", "10 decode steps", "1 AdaServe step")


def smoke(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "docker" / "smoke", *words], capture_output=True, text=True, check=False)


def test_on_the_processor_it_runs_the_same_lines():
    pytest.importorskip("triton")
    found = smoke("--device", "cpu")
    assert (found.returncode, found.stderr) == (0, "")
    lines = [re.fullmatch(r"(.*?) +\d+\.\d s   (.+)", line) for line in found.stdout.splitlines()]
    assert [line and line[1] for line in lines] == list(LINES)
    assert [line[2].split(", ")[-1] for line in lines[2:] if line] == ["256 of 256 tokens as on the processor"] * 2


def test_without_a_gpu_it_says_what_it_needs(tmp_path, monkeypatch):
    put_smi(tmp_path / "bin", monkeypatch, None)
    found = smoke()
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("docker/smoke needs an NVIDIA GPU, in a container from `cli.py start --target cuda`;")
    assert len(found.stderr.splitlines()) == 1


def test_a_driver_without_a_gpu_is_the_drivers_sentence(tmp_path, monkeypatch):
    put_smi(tmp_path / "bin", monkeypatch, "echo 'No devices were found'; exit 6")
    found = smoke()
    assert (found.returncode, found.stdout, len(found.stderr.splitlines())) == (2, "", 1)
    assert "see with lspci whether this machine has an NVIDIA GPU" in found.stderr


@pytest.mark.parametrize(
    ("version", "passed", "words"),
    [
        ("470.256.02", [], "doctor: NVIDIA driver 470.256.02 is older than 525.60.13, which CUDA 12.4 needs; update"),
        ("550.54.14", ["doctor"], "attention: PyTorch "),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU that PyTorch can use")
def test_it_ends_at_the_first_failure_with_one_sentence(version, passed, words, tmp_path, monkeypatch):
    put_smi(tmp_path / "bin", monkeypatch, smi(version))
    found = smoke()
    assert found.returncode == 1
    assert [line.split("  ")[0] for line in found.stdout.splitlines()] == passed
    assert found.stderr.startswith(words) and len(found.stderr.splitlines()) == 1


def test_it_can_be_executed_and_is_in_the_image():
    assert os.access(ROOT / "docker" / "smoke", os.X_OK)
    assert "COPY docker/smoke /docker/smoke" in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
