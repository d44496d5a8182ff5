"""Target, draft and tokenizer arrive together or say why not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch

from engine.catalogue import DRAFTS, MODELS
from engine.errors import InputError
from engine.models import pair
from engine.models.config import DecoderConfig
from engine.models.loading import save_decoder
from engine.models.pair import load_pair
from engine.models.widened import SHAPES
from tests.engine.models.dense import fresh, greedy, logits, prompt, write_tokenizer

TARGET = DecoderConfig(300, 48, 2, 6, 2, 8, 56, context=128, tied_embeddings=True, stop_ids=(0,))
DRAFT = DecoderConfig(300, 24, 1, 4, 2, 8, 30, context=128, tied_embeddings=True, stop_ids=(0,))
WIDE = DecoderConfig(320, 96, 3, 12, 3, 16, 80, context=999)
NARROW = DecoderConfig(310, 64, 2, 8, 2, 8, 64, context=999, tied_embeddings=True)


def write(folder: Path, config: DecoderConfig, seed: int) -> None:
    save_decoder(folder, config, fresh(config, seed).weights, torch.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "target", TARGET, 1)
    write(tmp_path / "draft", DRAFT, 2)
    return write_tokenizer(tmp_path)


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub where every target and draft is the stand-in; the names that were asked for."""
    asked: list[str] = []
    for part in ("target", "draft"):
        shutil.copy(folder / "tokenizer.json", folder / part)

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append(name)
        drafts = [MODELS[draft].repository for draft in DRAFTS.values()]
        return str(folder / ("draft" if name in drafts else "target"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


def test_a_folder_is_a_pair(folder: Path) -> None:
    found = load_pair(folder, dtype=torch.bfloat16)
    assert found.draft is not None
    assert (found.target.config, found.draft.config) == (TARGET, DRAFT)
    assert found.target.dtype == found.draft.dtype == torch.bfloat16
    assert found.tokenizer.decode(found.tokenizer.encode("the cat")) == "the cat"


def test_the_draft_is_left_alone_when_nobody_asks_for_it(folder: Path, hub: list[str]) -> None:
    assert load_pair("llama-3.1-8b", draft=False).draft is None
    assert hub == [MODELS["llama-3.1-8b"].repository]
    shutil.rmtree(folder / "draft")
    assert load_pair(folder, draft=False).draft is None
    with pytest.raises(InputError, match="draft is neither a folder"):
        load_pair(folder)


@pytest.mark.parametrize("name", DRAFTS)
def test_named_pairs_come_from_the_hub(name: str, hub: list[str]) -> None:
    found = load_pair(name)
    assert hub == [MODELS[name].repository, MODELS[DRAFTS[name]].repository]
    assert found.draft is not None
    assert (found.target.config, found.draft.config) == (TARGET, DRAFT)


@pytest.mark.parametrize("part", ["target", "draft"])
def test_padding_rows_are_cut(part: str, folder: Path) -> None:
    padded = replace(TARGET if part == "target" else DRAFT, vocabulary=320, tied_embeddings=part == "target")
    write(folder / part, padded, 5)
    found = load_pair(folder)
    assert found.draft is not None
    assert found.target.config.vocabulary == found.draft.config.vocabulary == 300
    tokens = prompt(DRAFT, 20)
    cut = found.target if part == "target" else found.draft
    torch.testing.assert_close(logits(cut, tokens), logits(fresh(padded, 5), tokens)[:, :300])
    assert (cut.weights.head is cut.weights.embedding) == padded.tied_embeddings


def test_models_with_other_tokens_are_no_pair(folder: Path) -> None:
    write_tokenizer(folder / "draft", start="<begin>")
    with pytest.raises(InputError, match="have different vocabularies; choose a draft"):
        load_pair(folder)
    (folder / "draft" / "tokenizer.json").unlink()
    write(folder / "draft", replace(DRAFT, vocabulary=200), 2)
    with pytest.raises(InputError, match=r"does not fit the model: it has token .*, the model 200 rows"):
        load_pair(folder)


def test_an_unknown_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'llama-3.1-8' is neither .*; did you mean llama-3.1-8b or llama-3.1-70b\?"):
        load_pair("llama-3.1-8")
    with pytest.raises(InputError, match="'tiny' is no pair of full-size shapes; known: llama"):
        load_pair("tiny", weights="widened")


def test_the_tiny_pair_in_other_shapes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair, "TINY", folder)
    monkeypatch.setitem(SHAPES, "llama-3.1-8b", WIDE)
    monkeypatch.setitem(SHAPES, "llama-3.2-1b", NARROW)
    tiny, wide = load_pair("tiny"), load_pair("llama-3.1-8b", weights="widened")
    assert tiny.draft is not None
    assert wide.draft is not None
    assert (wide.target.config.hidden, wide.draft.config.hidden) == (96, 64)
    assert wide.target.config.vocabulary == wide.draft.config.vocabulary == 310
    assert wide.tokenizer.tokens == tiny.tokenizer.tokens
    for small, large in ((tiny.target, wide.target), (tiny.draft, wide.draft)):
        assert greedy(large, prompt(TARGET, 30), 40) == greedy(small, prompt(TARGET, 30), 40)
    assert load_pair("llama-3.1-8b", draft=False, weights="widened").draft is None
