"""A pair of small random models in the place of the shipped one, so that every test is quick."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import engine.models.pair
import exps.native.models
from engine.models.config import DecoderConfig
from engine.models.loading import save_decoder
from engine.models.weights import fresh_weights
from tests.engine.models.dense import write_tokenizer

TARGET = DecoderConfig(290, hidden=32, layers=2, heads=4, kv_heads=2, head_size=8, intermediate=48, context=2048)
KINDS = {"coding": 60, "chat": 20, "summarization": 300}


@pytest.fixture
def small_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """target/, draft/, tokenizer and prompts of all kinds in a folder that passes for the shipped pair."""
    folder = tmp_path / "pair"
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
    for module in (engine.models.pair, exps.native.models):
        monkeypatch.setattr(module, "TINY", folder)
    monkeypatch.setattr(exps.native.models, "cores", lambda: 1)
    _forget()
    yield folder
    _forget()


def _forget() -> None:
    exps.native.models.load.cache_clear()
    exps.native.models.load_prompts.cache_clear()
