"""Weights by their Hugging Face names, and fresh ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.models.config import DecoderConfig
from engine.models.decoder import Layer, Weights

QKV = ("q", "k", "v")
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def expected_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a checkpoint of this shape."""
    hidden, queries, keys = config.hidden, config.heads * config.head_size, config.kv_heads * config.head_size
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocabulary, hidden)}
    for number in range(config.layers):
        layer = f"model.layers.{number}."
        for name, rows in zip(QKV, (queries, keys, keys), strict=True):
            shapes[f"{layer}self_attn.{name}_proj.weight"] = (rows, hidden)
            if config.qkv_bias:
                shapes[f"{layer}self_attn.{name}_proj.bias"] = (rows,)
        shapes[f"{layer}self_attn.o_proj.weight"] = (hidden, queries)
        shapes[f"{layer}mlp.gate_proj.weight"] = (config.intermediate, hidden)
        shapes[f"{layer}mlp.up_proj.weight"] = (config.intermediate, hidden)
        shapes[f"{layer}mlp.down_proj.weight"] = (hidden, config.intermediate)
        shapes[f"{layer}input_layernorm.weight"] = (hidden,)
        shapes[f"{layer}post_attention_layernorm.weight"] = (hidden,)
    shapes["model.norm.weight"] = (hidden,)
    if not config.tied_embeddings:
        shapes[HEAD] = (config.vocabulary, hidden)
    return shapes


def from_state(config: DecoderConfig, state: Mapping[str, Tensor]) -> Weights:
    """Weights from tensors by Hugging Face name; query, key, value and gate, up are stacked."""
    layers = []
    for number in range(config.layers):
        attention, mlp = f"model.layers.{number}.self_attn.", f"model.layers.{number}.mlp."
        bias = torch.cat([state[f"{attention}{name}_proj.bias"] for name in QKV]) if config.qkv_bias else None
        layers.append(
            Layer(
                attention_norm=state[f"model.layers.{number}.input_layernorm.weight"],
                qkv=torch.cat([state[f"{attention}{name}_proj.weight"] for name in QKV]),
                qkv_bias=bias,
                out=state[f"{attention}o_proj.weight"],
                mlp_norm=state[f"model.layers.{number}.post_attention_layernorm.weight"],
                gate_up=torch.cat([state[f"{mlp}gate_proj.weight"], state[f"{mlp}up_proj.weight"]]),
                down=state[f"{mlp}down_proj.weight"],
            )
        )
    embedding = state[EMBEDDING]
    head = embedding if config.tied_embeddings else state[HEAD]
    return Weights(embedding, layers, state["model.norm.weight"], head)


def to_state(config: DecoderConfig, weights: Weights) -> dict[str, Tensor]:
    """The inverse of ``from_state``."""
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    state = {EMBEDDING: weights.embedding, "model.norm.weight": weights.norm}
    if not config.tied_embeddings:
        state[HEAD] = weights.head
    for number, layer in enumerate(weights.layers):
        attention, mlp = f"model.layers.{number}.self_attn.", f"model.layers.{number}.mlp."
        for name, rows in zip(QKV, torch.split(layer.qkv, [queries, keys, keys]), strict=True):
            state[f"{attention}{name}_proj.weight"] = rows
        if layer.qkv_bias is not None:
            for name, rows in zip(QKV, torch.split(layer.qkv_bias, [queries, keys, keys]), strict=True):
                state[f"{attention}{name}_proj.bias"] = rows
        state[f"{attention}o_proj.weight"] = layer.out
        state[f"{mlp}gate_proj.weight"], state[f"{mlp}up_proj.weight"] = layer.gate_up.chunk(2)
        state[f"{mlp}down_proj.weight"] = layer.down
        state[f"model.layers.{number}.input_layernorm.weight"] = layer.attention_norm
        state[f"model.layers.{number}.post_attention_layernorm.weight"] = layer.mlp_norm
    return state


def fresh_weights(
    config: DecoderConfig, seed: int, dtype: torch.dtype = torch.float32, scale: float = 0.02, device: str = "cpu"
) -> Weights:
    """Normal weights of deviation ``scale``, norms of 1, biases of 0; output projections shrink with depth (GPT-2)."""
    generator = torch.Generator(device).manual_seed(seed)
    state = {}
    for name, shape in expected_shapes(config).items():
        if len(shape) == 1:
            make = torch.zeros if name.endswith("bias") else torch.ones
            state[name] = make(shape, dtype=dtype, device=device)
            continue
        deviation = scale / (2 * config.layers) ** 0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else scale
        state[name] = (torch.randn(shape, generator=generator, device=device) * deviation).to(dtype)
    return from_state(config, state)
