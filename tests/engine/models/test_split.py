"""The parts of a split decoder are the whole, put together and computed together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.errors import InputError
from engine.models import loading, pair
from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder
from engine.models.loading import load_decoder, save_decoder
from engine.models.pair import load_pair, load_target
from engine.models.split import COLUMNS, ROWS, UNSPLIT, Split, pieces, split_config
from engine.models.weights import EMBEDDING, HEAD, expected_shapes, to_state
from engine.models.widened import SHAPES, widen
from tests.engine.models.dense import fresh, greedy, logits, prompt, write_tokenizer
from tests.engine.models.splitting import split_decoder
from tests.engine.models.threads import on_ranks

SMALL = DecoderConfig(90, 48, 2, 6, 2, 8, 56, context=256, tied_embeddings=True, stop_ids=(5,))
LLAMA = DecoderConfig(96, 64, 2, 8, 4, 16, 80, context=128)
QWEN = replace(LLAMA, qkv_bias=True, tied_embeddings=True)
WIDE = DecoderConfig(128, 96, 3, 12, 4, 32, 160, context=999)


def splits(of: int) -> list[Split]:
    return [Split(rank, of) for rank in range(of)]


def together(parts: list[Decoder], tokens: list[int]) -> Tensor:
    """The logits that the ranks compute, which are the same on all."""
    found = on_ranks(parts, lambda part: logits(part, tokens))
    assert all(torch.equal(found[0], other) for other in found)
    return found[0]


@st.composite
def wholes(draw: st.DrawFn) -> tuple[DecoderConfig, int]:
    """A shape, and how many ranks share it."""
    of = draw(st.sampled_from([2, 3, 4]))
    kv = of * draw(st.integers(1, 2))
    config = DecoderConfig(of * draw(st.integers(4, 20)), draw(st.integers(8, 40)), draw(st.integers(1, 2)),
                           kv * draw(st.integers(1, 3)), kv, draw(st.sampled_from([4, 8])), of * draw(st.integers(2, 20)), 64,
                           qkv_bias=draw(st.booleans()), tied_embeddings=draw(st.booleans()))
    return config, of


@given(shared=wholes(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_parts_compute_the_whole(shared: tuple[DecoderConfig, int], seed: int) -> None:
    config, of = shared
    whole, tokens = fresh(config, seed), prompt(config, 12)
    parts = [split_decoder(whole, split) for split in splits(of)]
    torch.testing.assert_close(together(parts, tokens), logits(whole, tokens), rtol=1e-4, atol=1e-4)


@given(shared=wholes(), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_parts_put_together_are_the_whole(shared: tuple[DecoderConfig, int], seed: int) -> None:
    config, of = shared
    whole = fresh(config, seed)
    state = to_state(config, whole.weights)
    mine = [to_state(part.config, part.weights) for part in (split_decoder(whole, split) for split in splits(of))]
    for name in pieces(config, Split(0, of)):
        module, tensors = name.split(".")[-2], [part[name] for part in mine]
        if module in ROWS + COLUMNS:
            joined = torch.cat(tensors, 0 if module in ROWS else 1)
            assert torch.equal(joined, state[EMBEDDING if name == HEAD and config.tied_embeddings else name])
        else:
            assert all(torch.equal(tensor, state[name]) for tensor in tensors)


def test_masked_tokens_stay_masked() -> None:
    whole = fresh(LLAMA)
    whole.weights.masked = torch.arange(LLAMA.vocabulary) % 3 == 0
    parts = [split_decoder(whole, split) for split in splits(2)]
    torch.testing.assert_close(together(parts, prompt(LLAMA, 9)), logits(whole, prompt(LLAMA, 9)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [LLAMA, QWEN], ids=["llama", "qwen2"])
@pytest.mark.parametrize(("of", "vocabulary"), [(2, None), (4, None), (2, 60)])
def test_a_rank_reads_its_part_of_a_checkpoint(
    config: DecoderConfig, of: int, vocabulary: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_decoder(tmp_path, config, fresh(config).weights, torch.float32)
    whole, read = load_decoder(tmp_path, vocabulary=vocabulary), []
    keep = loading._Checkpoint.read
    monkeypatch.setattr(loading._Checkpoint, "read", lambda *asked: read.append(keep(*asked)) or read[-1])
    for split in splits(of):
        read.clear()
        part, expected = load_decoder(tmp_path, split=split, vocabulary=vocabulary), split_decoder(whole, split)
        assert part.config == expected.config
        assert all(torch.equal(*pair) for pair in zip(part.weights.tensors(), expected.weights.tensors(), strict=True))
        assert sum(tensor.numel() for tensor in read) == sum(tensor.numel() for tensor in part.weights.tensors())


@pytest.mark.parametrize(
    "shape", [WIDE, replace(WIDE, qkv_bias=True, tied_embeddings=True), replace(WIDE, kv_heads=12)],
    ids=["llama", "qwen2", "llama-2"],
)
@pytest.mark.parametrize("of", [2, 4])
def test_a_widened_model_in_parts_is_the_small_one(shape: DecoderConfig, of: int) -> None:
    small, tokens = fresh(SMALL), prompt(SMALL, 40)
    parts = [Decoder(*widen(SMALL, small.weights, shape, 3, split)) for split in splits(of)]
    found = together(parts, tokens)
    torch.testing.assert_close(found[:, : SMALL.vocabulary], logits(small, tokens), rtol=0, atol=1e-4)
    assert (found[:, SMALL.vocabulary :] == -torch.inf).all()
    answers = on_ranks(parts, lambda part: greedy(part, tokens, 20))
    assert answers == [greedy(small, tokens, 20)] * of
    expected = expected_shapes(split_config(replace(shape, context=SMALL.context), Split(0, of)))
    for part in parts:
        sizes = {name: tuple(tensor.shape) for name, tensor in to_state(part.config, part.weights).items()}
        assert sizes == expected | {HEAD: (shape.vocabulary // of, shape.hidden)}


def test_what_is_on_every_rank_is_the_same_and_the_rest_is_not() -> None:
    one, two = (widen(SMALL, fresh(SMALL).weights, WIDE, 3, split)[1] for split in splits(2))
    assert torch.equal(one.embedding, two.embedding) and torch.equal(one.norm, two.norm)
    assert not torch.equal(one.layers[2].gate_up, two.layers[2].gate_up)
    assert not torch.equal(one.head, two.head)


@pytest.mark.parametrize(
    ("change", "of", "words"),
    [
        ({}, 3, "kv_heads 4 is no multiple of 3; choose a number of ranks among 1, 2, 4"),
        ({}, 8, "kv_heads 4 is no multiple of 8"),
        ({"kv_heads": 2}, 4, "kv_heads 2 is no multiple of 4; choose a number of ranks among 1, 2"),
        ({"intermediate": 81}, 2, "intermediate 81 is no multiple of 2; choose a number of ranks among 1"),
        ({"vocabulary": 97}, 2, "vocabulary 97 is no multiple of 2"),
    ],
)
def test_sizes_that_cannot_be_shared_are_named(change: dict[str, Any], of: int, words: str) -> None:
    with pytest.raises(InputError, match=f"{of} ranks cannot share the model: {words}"):
        split_decoder(fresh(replace(LLAMA, **change)), Split(0, of))


def test_there_is_no_rank_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="no rank 2 of 2"):
        Split(2, 2)
    assert split_decoder(whole := fresh(LLAMA), UNSPLIT) is whole


@pytest.mark.parametrize("name", ["llama-3.1-70b", "llama-3.1-8b", "qwen2.5-32b", "llama-2-7b"])
@pytest.mark.parametrize("of", [2, 4])
def test_full_size_shapes_can_be_shared(name: str, of: int) -> None:
    mine = split_config(SHAPES[name], Split(1, of))
    assert mine.group == SHAPES[name].group and mine.kv_heads * of == SHAPES[name].kv_heads


def save_pair(folder: Path, target: DecoderConfig, draft: DecoderConfig) -> None:
    for name, config in (("target", target), ("draft", draft)):
        save_decoder(folder / name, config, fresh(config).weights, torch.float32)
    write_tokenizer(folder)


def test_the_draft_is_on_rank_0_and_decides_the_vocabulary_of_all(tmp_path: Path) -> None:
    save_pair(tmp_path, replace(LLAMA, vocabulary=320), replace(SMALL, vocabulary=300))
    first, second = (load_pair(tmp_path, split=split) for split in splits(2))
    assert first.draft is not None and second.draft is None
    assert first.draft.config.vocabulary == first.target.config.vocabulary == second.target.config.vocabulary == 300
    assert len(first.target.weights.head) == len(second.target.weights.head) == 150
    other = load_target(Split(1, 2), "cpu", name=tmp_path)
    assert torch.equal(other.weights.head, second.target.weights.head)


def test_a_widened_pair_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_pair(tmp_path, replace(SMALL, vocabulary=300), replace(SMALL, vocabulary=300))
    monkeypatch.setattr(pair, "TINY", tmp_path)
    monkeypatch.setitem(SHAPES, "llama-3.1-70b", replace(WIDE, vocabulary=330))
    monkeypatch.setitem(SHAPES, "llama-3.2-1b", replace(WIDE, vocabulary=310))
    monkeypatch.setitem(SHAPES, "llama-2-7b", replace(WIDE, vocabulary=320))
    found = [load_pair("llama-3.1-70b", weights="widened", split=split) for split in splits(2)]
    assert [part.draft is None for part in found] == [False, True]
    assert {part.target.config.vocabulary for part in found} == {310}
    tokens = prompt(SMALL, 20)
    small = load_pair(tmp_path).target
    computed = together([part.target for part in found], tokens)[:, :300]
    torch.testing.assert_close(computed, logits(small, tokens), rtol=0, atol=1e-4)
    alone = load_pair("llama-2-7b", weights="widened")
    assert alone.draft is None and alone.target.config.vocabulary == 320
