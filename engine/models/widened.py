"""A small model inside a full-size shape: the same function, the big shape's work, no download.

The residual stream keeps the small model's channels and zeros beyond them, because whatever writes to it (embedding,
o_proj, down_proj) writes nothing else. What is read by nothing that counts is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.errors import InputError
from engine.models.config import DecoderConfig
from engine.models.decoder import Layer, Weights
from engine.models.split import UNSPLIT, Split, split_config

DEVIATION = 0.02

# Sizes from the config.json of meta-llama/Llama-3.1-70B, Llama-3.1-8B, Llama-3.2-1B, Llama-2-7b-hf and Llama-2-13b-hf, and of
# Qwen/Qwen2.5-0.5B and Qwen2.5-32B.
SHAPES = {
    "llama-3.1-70b": DecoderConfig(128_256, 8192, 80, 64, 8, 128, 28_672, context=131_072),
    "llama-3.1-8b": DecoderConfig(128_256, 4096, 32, 32, 8, 128, 14_336, context=131_072),
    "llama-3.2-1b": DecoderConfig(128_256, 2048, 16, 32, 8, 64, 8192, context=131_072, tied_embeddings=True),
    "llama-2-7b": DecoderConfig(32_000, 4096, 32, 32, 32, 128, 11_008, context=4096),
    "llama-2-13b": DecoderConfig(32_000, 5120, 40, 40, 40, 128, 13_824, context=4096),
    "qwen2.5-0.5b": DecoderConfig(151_936, 896, 24, 14, 2, 64, 4864, context=32_768, qkv_bias=True, tied_embeddings=True),
    "qwen2.5-32b": DecoderConfig(152_064, 5120, 64, 40, 8, 128, 27_648, context=32_768, qkv_bias=True),
}


def widen(
    config: DecoderConfig, weights: Weights, shape: DecoderConfig, seed: int, split: Split = UNSPLIT
) -> tuple[DecoderConfig, Weights]:
    """The model ``config``, ``weights`` with the sizes of ``shape``, on the same device in the same dtype.

    Context, rotary positions, stop ids and (scaled to the width) norm_eps stay those of the small model; tokens beyond its
    vocabulary are masked. Only the rank's part of ``split`` is made; what is on every rank is the same on all. InputError
    names the size of ``shape`` that cannot hold the model, or that the ranks cannot share.
    """
    wide = widened_config(config, shape)
    mine = split_config(wide, split)
    return mine, _Widening(config, wide, mine, split, _Noise(seed, weights.norm)).weights(weights)


def widened_config(config: DecoderConfig, shape: DecoderConfig) -> DecoderConfig:
    """The whole widened model's."""
    _check_room(config, shape)
    return replace(
        shape,
        context=config.context,
        rope_theta=config.rope_theta,
        rope_scaling=config.rope_scaling,
        norm_eps=config.norm_eps * config.hidden / shape.hidden,
        stop_ids=config.stop_ids,
    )


def _check_room(config: DecoderConfig, shape: DecoderConfig) -> None:
    for size in ("vocabulary", "hidden", "layers", "kv_heads", "head_size", "intermediate"):
        if (small := getattr(config, size)) > (wide := getattr(shape, size)):
            raise InputError(f"the shape cannot hold the model: {size} {wide} is below {small}; choose a larger shape.")
    if config.kv_heads * _copies(config, shape) > shape.kv_heads:
        sizes = f"query heads a KV head {shape.group} is below {config.group}"
        raise InputError(f"the shape cannot hold the model: {sizes}; choose a larger shape.")
    if shape.head_size % config.head_size:
        sizes = f"head_size {shape.head_size} is no multiple of {config.head_size}"
        raise InputError(f"the shape cannot hold the model: {sizes}; choose another shape.")
    if config.qkv_bias and not shape.qkv_bias:
        raise InputError("the shape cannot hold the model: it has no qkv_bias; choose a shape with QKV biases.")
    if shape.tied_embeddings and not config.tied_embeddings:
        raise InputError("the shape cannot hold the model: tied_embeddings leaves its head no room; choose an untied shape.")


def _copies(small: DecoderConfig, wide: DecoderConfig) -> int:
    """The wide KV heads that a small one takes, so that all its query heads find room."""
    return -(-small.group // wide.group)


class _Noise:
    """Small normal tensors of one dtype and device."""

    def __init__(self, seed: int, like: Tensor):
        self._like, self.device = like, like.device
        self._seed, self._generator = seed, torch.Generator(like.device).manual_seed(seed)

    def of_rank(self, split: Split) -> None:
        """From here on other numbers on each rank."""
        if split.of > 1:
            self._generator.manual_seed(int(np.random.SeedSequence((self._seed, split.rank)).generate_state(1)[0]))

    def __call__(self, *shape: int) -> Tensor:
        return self._like.new_empty(shape).normal_(0, DEVIATION, generator=self._generator)


@dataclass(frozen=True)
class _Places:
    """Rows ``small`` of the small model, and the rows ``here`` where they stand in the rank's part of the wide one."""

    small: Tensor
    here: Tensor

    def within(self, part: slice) -> _Places:
        """Those that stand in ``part`` of the whole wide model, counted from its begin."""
        inside = ((self.here >= part.start) & (self.here < part.stop)).nonzero().flatten()
        return _Places(self.small[inside], self.here[inside] - part.start)


class _Widening:
    """``wide`` is the whole wide shape, ``mine`` the rank's part of it."""

    def __init__(self, small: DecoderConfig, wide: DecoderConfig, mine: DecoderConfig, split: Split, noise: _Noise):
        self._small, self._wide, self._mine, self._split, self._noise = small, wide, mine, split, noise
        rows, size = _rows(small, wide, noise.device), wide.head_size
        inner = torch.arange(small.intermediate, device=noise.device)
        self._queries = rows.queries.within(split.part(wide.heads * size))
        self._keys = rows.keys.within(split.part(wide.kv_heads * size))
        self._heads = rows.heads.within(split.part(wide.heads * size))
        self._inner = _Places(inner, inner).within(split.part(wide.intermediate))

    def weights(self, weights: Weights) -> Weights:
        small, wide = self._small, self._wide
        embedding = self._noise(wide.vocabulary, wide.hidden)
        embedding[:, small.hidden :] = 0
        embedding[: small.vocabulary, : small.hidden] = weights.embedding
        self._noise.of_rank(self._split)
        head = self._head(embedding, weights.head)
        layers = [self._layer(layer) for layer in weights.layers]
        layers += [self._idle_layer(weights.norm) for _ in range(wide.layers - small.layers)]
        return Weights(embedding, layers, self._norm(weights.norm), head, self._masked(weights))

    def _head(self, embedding: Tensor, small: Tensor) -> Tensor:
        part = self._split.part(self._wide.vocabulary)
        if self._wide.tied_embeddings:
            return embedding if self._split.of == 1 else embedding[part]
        head, rows = self._noise(part.stop - part.start, self._wide.hidden), small[part]
        head[: len(rows), : self._small.hidden] = rows
        return head

    def _masked(self, weights: Weights) -> Tensor | None:
        small, wide = self._small.vocabulary, self._wide.vocabulary
        if small == wide:
            return weights.masked
        masked = torch.ones(wide, dtype=torch.bool, device=weights.norm.device)
        masked[:small] = False if weights.masked is None else weights.masked
        return masked

    def _layer(self, layer: Layer) -> Layer:
        small, mine, queries, inner = self._small, self._mine, self._queries, self._inner
        out = layer.out.new_zeros(mine.hidden, mine.heads * mine.head_size)
        out[: small.hidden, queries.here] = layer.out[:, queries.small]
        down = layer.down.new_zeros(mine.hidden, mine.intermediate)
        down[: small.hidden, inner.here] = layer.down[:, inner.small]
        gate_up = self._noise(2 * mine.intermediate, mine.hidden)
        for part, values in zip(gate_up.chunk(2), layer.gate_up.chunk(2), strict=True):
            part[inner.here, : small.hidden] = values[inner.small]
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
        mine = self._mine
        queries, keys = mine.heads * mine.head_size, mine.kv_heads * mine.head_size
        ones = like.new_ones(mine.hidden)
        return Layer(
            attention_norm=ones,
            qkv=self._noise(queries + 2 * keys, mine.hidden),
            qkv_bias=self._noise(queries + 2 * keys) if mine.qkv_bias else None,
            out=like.new_zeros(mine.hidden, queries),
            mlp_norm=ones.clone(),
            gate_up=self._noise(2 * mine.intermediate, mine.hidden),
            down=like.new_zeros(mine.hidden, mine.intermediate),
        )

    def _norm(self, norm: Tensor) -> Tensor:
        """The mean square over the wide row is hidden / wide hidden of the small row's."""
        scale = math.sqrt(self._small.hidden / self._wide.hidden)
        wide = norm.new_full((self._wide.hidden,), scale)
        wide[: self._small.hidden] = norm * scale
        return wide

    def _qkv(self, qkv: Tensor) -> Tensor:
        small, mine = self._small, self._mine
        stacked = self._noise((mine.heads + 2 * mine.kv_heads) * mine.head_size, mine.hidden)
        stacked[self._heads.here] = 0
        self._place(stacked[:, : small.hidden], qkv)
        return stacked

    def _bias(self, bias: Tensor | None) -> Tensor | None:
        small, mine = self._small, self._mine
        if not mine.qkv_bias:
            return None
        stacked = self._noise((mine.heads + 2 * mine.kv_heads) * mine.head_size)
        stacked[self._heads.here] = 0
        none = stacked.new_zeros((small.heads + 2 * small.kv_heads) * small.head_size)
        self._place(stacked, none if bias is None else bias)
        return stacked

    def _place(self, stacked: Tensor, rows: Tensor) -> None:
        """Puts query, key and value rows in place. Queries are zero in their heads' other dimensions, so scores stay exact;
        sqrt(wide / small head size) undoes the wider head's division."""
        small, mine, at, keys_at = self._small, self._mine, self._queries, self._keys
        small_keys, first_key = small.kv_heads * small.head_size, mine.heads * mine.head_size
        first_value = first_key + mine.kv_heads * mine.head_size
        queries, keys, values = torch.split(rows, [small.heads * small.head_size, small_keys, small_keys])
        stacked[at.here] = queries[at.small] * math.sqrt(mine.head_size / small.head_size)
        stacked[first_key + keys_at.here] = keys[keys_at.small]
        stacked[first_value + keys_at.here] = values[keys_at.small]


@dataclass(frozen=True)
class _Rows:
    """Where the small model's attention rows stand in the whole wide one. ``heads`` are all rows of the heads of queries."""

    queries: _Places
    keys: _Places
    heads: _Places


def _rows(small: DecoderConfig, wide: DecoderConfig, device: torch.device) -> _Rows:
    """Rotary pair i of a small head stands at the wide pair that turns as fast; each group fills the front of a wide one.

    Where a wide KV head has fewer query heads than a small one, the small one stands in several.
    """
    pairs = torch.arange(small.head_size // 2, device=device) * (wide.head_size // small.head_size)
    inside = torch.cat([pairs, pairs + wide.head_size // 2])
    every, copies = torch.arange(wide.head_size, device=device), _copies(small, wide)
    query = torch.arange(small.heads, device=device)
    kv, place = query // small.group, query % small.group
    heads = (kv * copies + place // wide.group) * wide.group + place % wide.group
    keys = torch.arange(small.kv_heads * copies, device=device)

    def of(numbers: Tensor, size: int, among: Tensor) -> Tensor:
        return (numbers[:, None] * size + among).flatten()

    own = torch.arange(small.head_size, device=device)
    return _Rows(
        queries=_Places(of(query, small.head_size, own), of(heads, wide.head_size, inside)),
        keys=_Places(of(keys // copies, small.head_size, own), of(keys, wide.head_size, inside)),
        heads=_Places(of(query, wide.head_size, every), of(heads, wide.head_size, every)),
    )
