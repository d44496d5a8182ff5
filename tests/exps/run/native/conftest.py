"""A pair of small random models in the place of the shipped one, so that every test is quick."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import engine.models.pair
import exps.run.native.models
from engine.models.config import DecoderConfig
from engine.models.loading import save_decoder
from engine.models.weights import fresh_weights
from exps.calibrate import profile
from exps.figures.figure import Options
from exps.run.local import TINY
from tests.engine.models.dense import write_tokenizer

TARGET = DecoderConfig(290, hidden=32, layers=2, heads=4, kv_heads=2, head_size=8, intermediate=48, context=2048)
KINDS = {"coding": 60, "chat": 20, "summarization": 300}


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """target/, draft/, tokenizer and prompts of all kinds."""
    folder = tmp_path_factory.mktemp("pair")
    weights = fresh_weights(TARGET, 0, scale=0.3)
    save_decoder(folder / "target", TARGET, weights, torch.float32)
    for tensor in weights.tensors():
        tensor += 0.02 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
    save_decoder(folder / "draft", TARGET, weights, torch.float32)
    write_tokenizer(folder)
    lines = [
        json.dumps({"kind": kind, "text": f"{number} the cat sat on the mat " * (length // 8 + number)})
        for kind, length in KINDS.items()
        for number in range(3)
    ]
    (folder / "prompts.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


@pytest.fixture
def small_pair(pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The small pair passes for the shipped one."""
    _pretend(pair_folder, monkeypatch)
    yield pair_folder
    _forget()


@pytest.fixture(scope="session")
def measured_once(pair_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick profile of this machine with the small pair."""
    folder = tmp_path_factory.mktemp("measured") / "profiles"
    with pytest.MonkeyPatch.context() as monkeypatch:
        _pretend(pair_folder, monkeypatch)
        profile.measure(TINY, Options(quick=True, profiles=folder), lambda part: None)
    _forget()
    return folder


@pytest.fixture
def profiles(small_pair: Path, measured_once: Path, tmp_path: Path) -> Path:
    """The profiles of a results folder."""
    folder = tmp_path / "results" / "profiles"
    shutil.copytree(measured_once, folder)
    return folder


def _pretend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _forget()
    for module in (engine.models.pair, exps.run.native.models):
        monkeypatch.setattr(module, "TINY", folder)
    monkeypatch.setattr(exps.run.native.models, "cores", lambda: 1)


def _forget() -> None:
    exps.run.native.models.unload()
    exps.run.native.models.outline_of.cache_clear()
    exps.run.native.models.load_prompts.cache_clear()
