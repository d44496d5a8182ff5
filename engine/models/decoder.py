"""The decoder of Llama 2/3 and Qwen2/2.5: RMSNorm, rotary positions, grouped-query attention, SwiGLU.

Tokens of all sequences of a step stand in one row, so that prefill, decode and verification are one forward. Attention is
an argument: it alone knows which token may see which, and where keys and values are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.kernels.attention import Attention
from engine.kernels.collectives import Alone, Collectives
from engine.kernels.layers import LayerOps, ReferenceOps
from engine.kernels.linear import Linear
from engine.kernels.rotary import Rotary, signed_sine
from engine.models.config import DecoderConfig, RopeScaling


@dataclass
class Layer:
    """One layer's weights, [out, in]. ``qkv`` stacks query, key and value rows, ``gate_up`` gate and up rows."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass
class Weights:
    """All weights. ``head`` is the embedding itself where the two are tied. ``masked`` [vocabulary], where there is one,
    is True for the tokens that are never predicted."""

    embedding: Tensor
    layers: list[Layer]
    norm: Tensor
    head: Tensor
    masked: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Every weight once."""
        inner = [getattr(layer, field.name) for layer in self.layers for field in fields(layer)]
        ends = [self.embedding, self.norm] + ([] if self.head is self.embedding else [self.head])
        return [tensor for tensor in ends + inner if tensor is not None]


class Decoder:
    """Hidden states and logits of one row of tokens. ``linear`` multiplies with the weights, ``ops`` does what is between.

    Where the decoder is a rank's part of a split one (engine.models.split), ``collectives`` brings the ranks together.
    """

    def __init__(self, config: DecoderConfig, weights: Weights):
        self.config, self.weights = config, weights
        self.linear: Linear = F.linear
        self.ops: LayerOps = ReferenceOps()
        self.collectives: Collectives = Alone()
        angles = rotary_angles(config, torch.arange(config.context, dtype=torch.float64))
        both = torch.cat([angles, angles], dim=-1)
        self._cos = both.cos().to(weights.norm)[:, None, :]
        self._sin = signed_sine(both).to(weights.norm)[:, None, :]

    @property
    def device(self) -> torch.device:
        return self.weights.norm.device

    @property
    def dtype(self) -> torch.dtype:
        return self.weights.norm.dtype

    def hidden(self, tokens: Tensor, positions: Tensor, attention: Attention) -> Tensor:
        """Normalised hidden states [t, hidden] of ``tokens`` [t] at ``positions`` [t] (int64)."""
        config, weights, ops, collectives = self.config, self.weights, self.ops, self.collectives
        rotary = Rotary(self._cos[positions], self._sin[positions], config.heads, config.kv_heads)
        x = F.embedding(tokens, weights.embedding)
        normed = ops.norm(x, weights.layers[0].attention_norm, config.norm_eps)
        following = [*(layer.attention_norm for layer in weights.layers[1:]), weights.norm]
        for number, (layer, next_norm) in enumerate(zip(weights.layers, following, strict=True)):
            stacked = self.linear(normed, layer.qkv, layer.qkv_bias).view(x.shape[0], -1, config.head_size)
            mixed = collectives.sum(self.linear(attention(number, stacked, rotary), layer.out, None))
            x, normed = ops.add_norm(x, mixed, layer.mlp_norm, config.norm_eps)
            gated = ops.silu_mul(self.linear(normed, layer.gate_up, None))
            x, normed = ops.add_norm(x, collectives.sum(self.linear(gated, layer.down, None)), next_norm, config.norm_eps)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [m, vocabulary] of hidden states [m, hidden]."""
        logits = self.collectives.gather(self.linear(hidden, self.weights.head, None))
        if self.weights.masked is not None:
            logits.masked_fill_(self.weights.masked, -math.inf)
        return logits


def rotary_angles(config: DecoderConfig, positions: Tensor) -> Tensor:
    """Angles [t, head_size / 2] by which the pairs of a head turn at ``positions`` [t], in float64."""
    pairs = torch.arange(0, config.head_size, 2, dtype=torch.float64, device=positions.device)
    frequencies = config.rope_theta ** -(pairs / config.head_size)
    if config.rope_scaling is not None:
        frequencies = stretched(frequencies, config.rope_scaling)
    return positions[:, None] * frequencies


def stretched(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Llama 3.1's frequencies: waves longer than the original context slow down, in between they blend."""
    turns = scaling.original_context * frequencies / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * (kept + (1 - kept) / scaling.factor)
