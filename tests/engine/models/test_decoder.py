"""The decoder computes what transformers computes, for each family that it knows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from engine.kernels.rotary import rotate, signed_sine
from engine.models.config import DecoderConfig, RopeScaling
from engine.models.decoder import Decoder, Layer, Weights, rotary_angles
from engine.models.loading import load_decoder, save_decoder
from tests.engine.models.dense import DenseAttention, fresh, greedy, logits, prompt

CLOSE = {"rtol": 0, "atol": 1e-4}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
SMALL = DecoderConfig(97, 48, 2, 6, 2, 8, 80, context=128)


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, Any]:
    kv, group, head = draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 4)), draw(st.sampled_from([8, 16, 32]))
    return {
        "vocab_size": draw(st.integers(50, 300)),
        "hidden_size": kv * group * head,
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": kv * group,
        "num_key_value_heads": kv,
        "intermediate_size": draw(st.integers(16, 200)),
        "max_position_embeddings": 256,
        "rms_norm_eps": draw(st.sampled_from([1e-5, 1e-6])),
        "rope_theta": draw(st.sampled_from([10_000.0, 500_000.0])),
        "tie_word_embeddings": draw(st.booleans()),
        "initializer_range": 0.1,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": 2,
    }


def build(family: str, table: dict[str, Any], seed: int) -> torch.nn.Module:
    """A transformers model with random norms and biases too."""
    torch.manual_seed(seed)
    if family == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**table))
    else:
        model = LlamaForCausalLM(LlamaConfig(**table, **({"rope_scaling": dict(LLAMA3)} if family == "llama3" else {})))
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += torch.randn_like(parameter) * 0.2
    return model.eval()


@torch.inference_mode()
def greedy_there(model: Any, tokens: list[int], steps: int) -> list[int]:
    cache, now, answer = None, tokens, []
    for _ in range(steps):
        out = model(input_ids=torch.tensor([now]), past_key_values=cache, use_cache=True)
        cache, now = out.past_key_values, [int(out.logits[0, -1].argmax())]
        answer += now
    return answer


def assert_same(decoder: Decoder, model: Any, tokens: list[int]) -> None:
    with torch.inference_mode():
        theirs = model(input_ids=torch.tensor([tokens])).logits[0]
    assert theirs.std() > 0.1
    torch.testing.assert_close(logits(decoder, tokens), theirs, **CLOSE)


@pytest.mark.parametrize("family", ["llama2", "llama3", "qwen2"])
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=sizes(), seed=st.integers(0, 1000))
def test_logits_are_those_of_transformers(family: str, table: dict[str, Any], seed: int, tmp_path: Path) -> None:
    model = build(family, table, seed)
    model.save_pretrained(tmp_path)
    decoder = load_decoder(tmp_path)
    assert (decoder.config.rope_scaling is not None) == (family == "llama3")
    assert decoder.config.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert_same(decoder, model, prompt(decoder.config, 200, seed))


@pytest.mark.parametrize("family", ["llama2", "llama3", "qwen2"])
def test_64_greedy_tokens_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    table = {"vocab_size": 199, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
             "intermediate_size": 120, "max_position_embeddings": 128, "tie_word_embeddings": family == "qwen2",
             "initializer_range": 0.1, "pad_token_id": None, "eos_token_id": 2}
    model = build(family, table, 7)
    model.save_pretrained(tmp_path)
    decoder = load_decoder(tmp_path)
    tokens = prompt(decoder.config, 40)
    answer = greedy(decoder, tokens, 64)
    assert answer == greedy_there(model, tokens, 64)
    assert len(set(answer)) > 5


@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, stop_ids=(3,), head_size=16),
        replace(SMALL, rope_theta=5e5, rope_scaling=RopeScaling(8.0, 1.0, 4.0, 32), stop_ids=(3, 4)),
        replace(SMALL, qkv_bias=True, tied_embeddings=True, norm_eps=1e-6),
    ],
    ids=["llama2", "llama3", "qwen2"],
)
def test_transformers_reads_what_is_saved_here(config: DecoderConfig, tmp_path: Path) -> None:
    decoder = fresh(config)
    save_decoder(tmp_path, config, decoder.weights, torch.float32)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True).eval()
    assert_same(decoder, model, prompt(config, 100))


def test_one_forward_is_many_forwards() -> None:
    decoder, tokens = fresh(SMALL), prompt(SMALL, 60)
    attention, parts = DenseAttention(SMALL.layers), []
    for start, stop in [(0, 30), (30, 31), (31, 60)]:
        hidden = decoder.hidden(torch.tensor(tokens[start:stop]), torch.arange(start, stop), attention)
        parts.append(decoder.logits(hidden))
    torch.testing.assert_close(torch.cat(parts), logits(decoder, tokens), **CLOSE)


@given(seed=st.integers(0, 1000), shift=st.integers(0, 60))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_rotation_keeps_lengths_and_knows_distances_only(seed: int, shift: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 1, SMALL.head_size, generator=generator, dtype=torch.float64)

    def turned(positions: list[int]) -> torch.Tensor:
        angles = rotary_angles(SMALL, torch.tensor(positions, dtype=torch.float64))
        both = torch.cat([angles, angles], dim=-1)[:, None]
        return rotate(x, both.cos(), signed_sine(both))

    here, there = turned([3, 9]), turned([3 + shift, 9 + shift])
    torch.testing.assert_close(here.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close((here[0] * here[1]).sum(), (there[0] * there[1]).sum())


def test_masked_tokens_are_never_predicted() -> None:
    decoder = fresh(SMALL)
    weights = decoder.weights
    masked = torch.zeros(SMALL.vocabulary, dtype=torch.bool)
    masked[::2] = True
    other = Decoder(SMALL, Weights(weights.embedding, weights.layers, weights.norm, weights.head, masked))
    tokens = prompt(SMALL, 20)
    found, plain = logits(other, tokens), logits(decoder, tokens)
    assert (found[:, masked] == -math.inf).all()
    assert torch.equal(found[:, ~masked], plain[:, ~masked])


def test_a_tied_head_counts_once() -> None:
    tied = replace(SMALL, tied_embeddings=True, qkv_bias=True)
    for config in (SMALL, tied):
        weights = fresh(config).weights
        assert sum(tensor.numel() for tensor in weights.tensors()) == config.parameters
    assert isinstance(weights.layers[0], Layer)
    assert weights.head is weights.embedding


def test_bfloat16_stays_near() -> None:
    decoder, tokens = fresh(SMALL), prompt(SMALL, 40)
    half = Weights(**{name: _halved(value) for name, value in vars(decoder.weights).items()})
    found = logits(Decoder(SMALL, half), tokens)
    exact = logits(decoder, tokens)
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).norm() < 0.05 * exact.norm()


def _halved(value: Any) -> Any:
    if isinstance(value, list):
        return [Layer(**{name: _halved(tensor) for name, tensor in vars(layer).items()}) for layer in value]
    return None if value is None else value.to(torch.bfloat16)
