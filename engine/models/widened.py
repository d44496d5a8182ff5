"""A small model inside a full-size shape: the same function, the big shape's work, no download.

The residual stream keeps the small model's channels and zeros beyond them, because whatever writes to it (embedding,
o_proj, down_proj) writes nothing else. What is read by nothing that counts is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.errors import InputError
from engine.models.config import DecoderConfig
from engine.models.decoder import Layer, Weights

DEVIATION = 0.02

# Sizes from the config.json of meta-llama/Llama-3.1-8B, meta-llama/Llama-3.2-1B, Qwen/Qwen2.5-0.5B and Qwen/Qwen2.5-32B.
SHAPES = {
    "llama-3.1-8b": DecoderConfig(128_256, 4096, 32, 32, 8, 128, 14_336, context=131_072),
    "llama-3.2-1b": DecoderConfig(128_256, 2048, 16, 32, 8, 64, 8192, context=131_072, tied_embeddings=True),
    "qwen2.5-0.5b": DecoderConfig(151_936, 896, 24, 14, 2, 64, 4864, context=32_768, qkv_bias=True, tied_embeddings=True),
    "qwen2.5-32b": DecoderConfig(152_064, 5120, 64, 40, 8, 128, 27_648, context=32_768, qkv_bias=True),
}


def widen(config: DecoderConfig, weights: Weights, shape: DecoderConfig, seed: int) -> tuple[DecoderConfig, Weights]:
    """The model ``config``, ``weights`` with the sizes of ``shape``, on the same device in the same dtype.

    Context, rotary positions, stop ids and (scaled to the width) norm_eps stay those of the small model; tokens beyond its
    vocabulary are masked. InputError names the size of ``shape`` that cannot hold the model.
    """
    _check_room(config, shape)
    wide = replace(
        shape,
        context=config.context,
        rope_theta=config.rope_theta,
        rope_scaling=config.rope_scaling,
        norm_eps=config.norm_eps * config.hidden / shape.hidden,
        stop_ids=config.stop_ids,
    )
    return wide, _Widening(config, wide, _Noise(seed, weights.norm)).weights(weights)


def _check_room(config: DecoderConfig, shape: DecoderConfig) -> None:
    for size in ("vocabulary", "hidden", "layers", "kv_heads", "group", "head_size", "intermediate"):
        small, wide = getattr(config, size), getattr(shape, size)
        if small > wide:
            label = "query heads a KV head" if size == "group" else size
            raise InputError(f"the shape cannot hold the model: {label} {wide} is below {small}; choose a larger shape.")
    if shape.head_size % config.head_size:
        sizes = f"head_size {shape.head_size} is no multiple of {config.head_size}"
        raise InputError(f"the shape cannot hold the model: {sizes}; choose another shape.")
    if config.qkv_bias and not shape.qkv_bias:
        raise InputError("the shape cannot hold the model: it has no qkv_bias; choose a shape with QKV biases.")
    if shape.tied_embeddings and not config.tied_embeddings:
        raise InputError("the shape cannot hold the model: tied_embeddings leaves its head no room; choose an untied shape.")


class _Noise:
    """Small normal tensors of one dtype and device."""

    def __init__(self, seed: int, like: Tensor):
        self._like, self.device = like, like.device
        self._generator = torch.Generator(like.device).manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        return self._like.new_empty(shape).normal_(0, DEVIATION, generator=self._generator)


@dataclass(frozen=True)
class _Rows:
    """Where the small model's attention rows stand. ``heads`` are all rows of the wide heads that carry a small one."""

    queries: Tensor
    keys: Tensor
    heads: Tensor


class _Widening:
    def __init__(self, small: DecoderConfig, wide: DecoderConfig, noise: _Noise):
        self._small, self._wide, self._noise = small, wide, noise
        self._rows = _rows(small, wide, noise.device)

    def weights(self, weights: Weights) -> Weights:
        small, wide = self._small, self._wide
        embedding = self._noise(wide.vocabulary, wide.hidden)
        embedding[:, small.hidden :] = 0
        embedding[: small.vocabulary, : small.hidden] = weights.embedding
        head = embedding
        if not wide.tied_embeddings:
            head = self._noise(wide.vocabulary, wide.hidden)
            head[: small.vocabulary, : small.hidden] = weights.head
        layers = [self._layer(layer) for layer in weights.layers]
        layers += [self._idle_layer(weights.norm) for _ in range(wide.layers - small.layers)]
        return Weights(embedding, layers, self._norm(weights.norm), head, self._masked(weights))

    def _masked(self, weights: Weights) -> Tensor | None:
        small, wide = self._small.vocabulary, self._wide.vocabulary
        if small == wide:
            return weights.masked
        masked = torch.ones(wide, dtype=torch.bool, device=weights.norm.device)
        masked[:small] = False if weights.masked is None else weights.masked
        return masked

    def _layer(self, layer: Layer) -> Layer:
        small, wide = self._small, self._wide
        out = layer.out.new_zeros(wide.hidden, wide.heads * wide.head_size)
        out[: small.hidden, self._rows.queries] = layer.out
        down = layer.down.new_zeros(wide.hidden, wide.intermediate)
        down[: small.hidden, : small.intermediate] = layer.down
        gate_up = self._noise(2 * wide.intermediate, wide.hidden)
        for part, values in zip(gate_up.chunk(2), layer.gate_up.chunk(2), strict=True):
            part[: small.intermediate, : small.hidden] = values
        return Layer(
            attention_norm=self._norm(layer.attention_norm),
            qkv=self._qkv(layer.qkv),
            qkv_bias=self._bias(layer.qkv_bias),
            out=out,
            mlp_norm=self._norm(layer.mlp_norm),
            gate_up=gate_up,
            down=down,
        )

    def _idle_layer(self, like: Tensor) -> Layer:
        """A layer that works and adds nothing."""
        wide = self._wide
        queries, keys = wide.heads * wide.head_size, wide.kv_heads * wide.head_size
        ones = like.new_ones(wide.hidden)
        return Layer(
            attention_norm=ones,
            qkv=self._noise(queries + 2 * keys, wide.hidden),
            qkv_bias=self._noise(queries + 2 * keys) if wide.qkv_bias else None,
            out=like.new_zeros(wide.hidden, queries),
            mlp_norm=ones.clone(),
            gate_up=self._noise(2 * wide.intermediate, wide.hidden),
            down=like.new_zeros(wide.hidden, wide.intermediate),
        )

    def _norm(self, norm: Tensor) -> Tensor:
        """The mean square over the wide row is hidden / wide hidden of the small row's."""
        scale = math.sqrt(self._small.hidden / self._wide.hidden)
        wide = norm.new_full((self._wide.hidden,), scale)
        wide[: self._small.hidden] = norm * scale
        return wide

    def _qkv(self, qkv: Tensor) -> Tensor:
        small, wide = self._small, self._wide
        stacked = self._noise((wide.heads + 2 * wide.kv_heads) * wide.head_size, wide.hidden)
        stacked[self._rows.heads] = 0
        self._place(stacked[:, : small.hidden], qkv)
        return stacked

    def _bias(self, bias: Tensor | None) -> Tensor | None:
        small, wide = self._small, self._wide
        if not wide.qkv_bias:
            return None
        stacked = self._noise((wide.heads + 2 * wide.kv_heads) * wide.head_size)
        stacked[self._rows.heads] = 0
        none = stacked.new_zeros((small.heads + 2 * small.kv_heads) * small.head_size)
        self._place(stacked, none if bias is None else bias)
        return stacked

    def _place(self, stacked: Tensor, rows: Tensor) -> None:
        """Puts query, key and value rows in place. Queries are zero in their heads' other dimensions, so scores stay exact;
        sqrt(wide / small head size) undoes the wider head's division."""
        small, wide, at = self._small, self._wide, self._rows
        small_keys, wide_keys = small.kv_heads * small.head_size, wide.kv_heads * wide.head_size
        queries, keys, values = torch.split(rows, [small.heads * small.head_size, small_keys, small_keys])
        first_key = wide.heads * wide.head_size
        stacked[at.queries] = queries * math.sqrt(wide.head_size / small.head_size)
        stacked[first_key + at.keys] = keys
        stacked[first_key + wide_keys + at.keys] = values


def _rows(small: DecoderConfig, wide: DecoderConfig, device: torch.device) -> _Rows:
    """Rotary pair i of a small head stands at the wide pair that turns as fast; each group fills the front of a wide one."""
    pairs = torch.arange(small.head_size // 2, device=device) * (wide.head_size // small.head_size)
    inside = torch.cat([pairs, pairs + wide.head_size // 2])
    kv = torch.arange(small.kv_heads, device=device)
    heads = (kv[:, None] * wide.group + torch.arange(small.group, device=device)).flatten() * wide.head_size
    return _Rows(
        queries=(heads[:, None] + inside).flatten(),
        keys=(kv[:, None] * wide.head_size + inside).flatten(),
        heads=(heads[:, None] + torch.arange(wide.head_size, device=device)).flatten(),
    )
