"""A widened model is the small one's function in the big one's shape."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.models.config import DecoderConfig, RopeScaling
from engine.models.decoder import Decoder
from engine.models.loading import read_config
from engine.models.pair import TINY, WIDENED
from engine.models.weights import expected_shapes, to_state
from engine.models.widened import SHAPES, _check_room, widen
from tests.engine.models.dense import fresh, greedy, logits, prompt

CLOSE = {"rtol": 0, "atol": 1e-4}
SMALL = DecoderConfig(90, 48, 2, 6, 2, 8, 56, context=256, rope_theta=2e4, tied_embeddings=True, stop_ids=(5,))
LLAMA = DecoderConfig(128, 96, 3, 12, 3, 32, 160, context=999)
LLAMA_2 = DecoderConfig(128, 96, 3, 8, 8, 16, 160, context=999)
QWEN = DecoderConfig(120, 80, 4, 10, 2, 16, 100, context=999, norm_eps=1e-6, qkv_bias=True, tied_embeddings=True)


def widened(small: Decoder, shape: DecoderConfig, seed: int = 3) -> Decoder:
    return Decoder(*widen(small.config, small.weights, shape, seed))


def assert_same_function(small: Decoder, wide: Decoder, length: int) -> None:
    tokens, size = prompt(small.config, length), small.config.vocabulary
    exact, found = logits(small, tokens), logits(wide, tokens)
    assert exact.std() > 0.1
    torch.testing.assert_close(found[:, :size], exact, **CLOSE)
    assert (found[:, size:] == -math.inf).all()


@st.composite
def small_and_wide(draw: st.DrawFn) -> tuple[DecoderConfig, DecoderConfig]:
    """Any two shapes of which the second holds the first."""

    def above(size: int, by: int) -> int:
        return size + draw(st.integers(0, by))

    kv, group, head = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from([4, 8, 16]))
    scaling = RopeScaling(8.0, 1.0, 4.0, 16) if draw(st.booleans()) else None
    bias, tied, eps = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([1e-5, 0.1]))
    small = DecoderConfig(draw(st.integers(8, 60)), draw(st.integers(8, 40)), draw(st.integers(1, 2)), kv * group, kv, head,
                          draw(st.integers(4, 60)), 64, 1e4, scaling, eps, bias, tied)
    wide_group = draw(st.integers(1, group + 2))
    wide_kv = above(kv * -(-group // wide_group), 2)
    wide = DecoderConfig(above(small.vocabulary, 9), above(small.hidden, 40), above(small.layers, 2), wide_kv * wide_group,
                         wide_kv, head * draw(st.integers(1, 4)), above(small.intermediate, 40), 999,
                         qkv_bias=bias or draw(st.booleans()), tied_embeddings=tied and draw(st.booleans()))
    return small, wide


@given(shapes=small_and_wide(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_shape_that_holds_a_model_computes_it(shapes: tuple[DecoderConfig, DecoderConfig], seed: int) -> None:
    config, shape = shapes
    small = fresh(config, seed)
    wide = widened(small, shape, seed)
    assert_same_function(small, wide, 50)
    assert {name: tuple(tensor.shape) for name, tensor in to_state(wide.config, wide.weights).items()} == expected_shapes(
        replace(shape, context=config.context)
    )


@pytest.mark.parametrize("shape", [LLAMA, QWEN, LLAMA_2], ids=["llama", "qwen2", "llama-2"])
def test_64_greedy_tokens_are_the_small_models(shape: DecoderConfig) -> None:
    small = fresh(SMALL)
    answer = greedy(widened(small, shape), prompt(SMALL, 100), 64)
    assert answer == greedy(small, prompt(SMALL, 100), 64)
    assert len(set(answer)) > 5


def test_sizes_come_from_the_shape_and_the_rest_from_the_model() -> None:
    wide = widened(fresh(SMALL), LLAMA).config
    assert wide == replace(LLAMA, context=256, rope_theta=2e4, norm_eps=1e-5 * 48 / 96, stop_ids=(5,))


def test_added_weights_are_at_work() -> None:
    """Only what must be zero is: the big shape's heads, channels and layers are computed with numbers."""
    wide = widened(fresh(SMALL), LLAMA).weights
    assert (wide.layers[0].gate_up != 0).all()
    assert (wide.layers[2].qkv != 0).all()
    assert (wide.head != 0).all()
    extra_heads = wide.layers[0].qkv.view(-1, 32, 96)[[3, 7, 8, 9, 10, 11, 14, 17]]
    assert (extra_heads != 0).all()
    assert (wide.layers[2].out == 0).all()


def test_the_same_seed_draws_the_same_weights() -> None:
    small = fresh(SMALL)
    one, two, other = (widened(small, QWEN, seed).weights.tensors() for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_dtype_and_masks_are_kept() -> None:
    small = fresh(SMALL)
    masked = torch.zeros(SMALL.vocabulary, dtype=torch.bool)
    masked[4] = True
    weights = replace(small.weights, masked=masked)
    found = widen(SMALL, weights, LLAMA, 0)[1].masked
    assert found is not None
    assert found.nonzero().flatten().tolist() == [4, *range(90, 128)]
    half = replace(weights, embedding=weights.embedding.bfloat16(), norm=weights.norm.bfloat16(), layers=[])
    wide = widen(replace(SMALL, layers=0), half, LLAMA, 0)[1]
    assert {tensor.dtype for tensor in wide.tensors()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocabulary": 89}, "vocabulary 89 is below 90"),
        ({"hidden": 47}, "hidden 47 is below 48"),
        ({"layers": 1}, "layers 1 is below 2"),
        ({"heads": 8, "kv_heads": 1}, "kv_heads 1 is below 2"),
        ({"heads": 6, "kv_heads": 3}, "query heads a KV head 2 is below 3"),
        ({"head_size": 4}, "head_size 4 is below 8"),
        ({"head_size": 20}, "head_size 20 is no multiple of 8"),
        ({"intermediate": 55}, "intermediate 55 is below 56"),
    ],
)
def test_a_shape_that_is_too_small_is_named(change: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=f"the shape cannot hold the model: {words}; choose"):
        widened(fresh(SMALL), replace(LLAMA, **change))


def test_biases_and_untied_heads_need_their_place() -> None:
    with pytest.raises(InputError, match="no qkv_bias"):
        widened(fresh(replace(SMALL, qkv_bias=True)), LLAMA)
    with pytest.raises(InputError, match="tied_embeddings leaves its head no room"):
        widened(fresh(replace(SMALL, tied_embeddings=False)), QWEN)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama-3.1-70b", 70.55), ("llama-3.1-8b", 8.03), ("llama-3.2-1b", 1.236), ("llama-2-7b", 6.738), ("llama-2-13b", 13.016),
     ("qwen2.5-0.5b", 0.494), ("qwen2.5-32b", 32.76)],
)
def test_shapes_have_the_published_sizes(name: str, billions: float) -> None:
    assert SHAPES[name].parameters / 1e9 == pytest.approx(billions, rel=1e-3)


@pytest.mark.parametrize("name", WIDENED)
def test_full_size_shapes_hold_the_tiny_target(name: str) -> None:
    _check_room(read_config(TINY / "target"), SHAPES[name])
