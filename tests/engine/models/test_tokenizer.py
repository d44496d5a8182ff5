"""Text survives encoding; a tokenizer that does not fit its model is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.models.config import DecoderConfig
from engine.models.tokenizer import FILE, Tokenizer, load_tokenizer
from tests.engine.models.dense import write_tokenizer

CONFIG = DecoderConfig(300, 32, 1, 4, 2, 8, 40, context=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder, CONFIG)


@given(text=st.text())
@settings(max_examples=200, derandomize=True)
def test_text_comes_back(text: str, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(text)
    assert ids[0] == 0
    assert all(0 < token < tokenizer.vocabulary for token in ids[1:])
    assert tokenizer.decode(ids) == text


def test_known_words_take_fewer_tokens_than_bytes(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("the cat sat on the mat")) < 16


def test_vocabulary_ends_at_the_largest_id(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert tokenizer.vocabulary == len(tokenizer.tokens) <= 290
    holes = {"type": "WordLevel", "vocab": {"a": 0, "b": 7}, "unk_token": "a"}
    table = json.loads((folder / FILE).read_text()) | {"model": holes, "added_tokens": [], "post_processor": None}
    (tmp_path / FILE).write_text(json.dumps(table))
    assert load_tokenizer(tmp_path, CONFIG).vocabulary == 8


def test_a_model_may_have_more_rows_but_not_fewer(folder: Path, tokenizer: Tokenizer) -> None:
    size = tokenizer.vocabulary
    assert load_tokenizer(folder, replace(CONFIG, vocabulary=size)).tokens == tokenizer.tokens
    words = rf"tokenizer\.json does not fit the model: it has token {size - 1}, the model {size - 1} rows"
    with pytest.raises(InputError, match=words):
        load_tokenizer(folder, replace(CONFIG, vocabulary=size - 1))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"model": {"type": "BPE"}}', b"\xff\xfe\0"])
def test_what_is_no_tokenizer_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json is no tokenizer"):
        load_tokenizer(tmp_path, CONFIG)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path.name} has no tokenizer\.json; name the folder"):
        load_tokenizer(tmp_path, CONFIG)
