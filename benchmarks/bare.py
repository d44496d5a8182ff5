"""A decode step with nothing around it: what the hardware and torch allow.

The products are the engine's own (engine.kernels.linear), the fastest that are known here; everything else is written
anew. All sequences have the same length and keep their keys and values in one dense tensor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.kernels.linear import linear_for
from engine.models.decoder import Decoder, Layer


class BareDecoder:
    """Steps ``n`` sequences over a cache [layers, n, kv_heads, length, h] with the weights of ``decoder``."""

    def __init__(self, decoder: Decoder, n: int, length: int):
        config, self.weights = decoder.config, decoder.weights
        self.linear = linear_for(self.weights.tensors())
        self.n, self.heads, self.kv_heads, self.size = n, config.heads, config.kv_heads, config.head_size
        self.width, self.eps = (config.hidden,), config.norm_eps
        shape = (config.layers, n, config.kv_heads, length, config.head_size)
        self.k, self.v = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).unbind(0)
        speed = config.rope_theta ** -(torch.arange(0, config.head_size, 2, dtype=torch.float64) / config.head_size)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * speed
        self.cos = torch.cat([angle.cos(), angle.cos()], 1).float()
        self.sin = torch.cat([-angle.sin(), angle.sin()], 1).float()

    def step(self, tokens: Tensor, position: int) -> Tensor:
        """Logits [n, vocabulary] after ``tokens`` [n] at ``position`` of every sequence."""
        weights = self.weights
        x = F.embedding(tokens, weights.embedding)
        for number, layer in enumerate(weights.layers):
            x = x + self.linear(self._attend(number, layer, x, position), layer.out, None)
            normed = F.rms_norm(x, self.width, layer.mlp_norm, self.eps)
            gate, up = self.linear(normed, layer.gate_up, None).chunk(2, -1)
            x = x + self.linear(F.silu(gate).mul_(up), layer.down, None)
        return self.linear(F.rms_norm(x, self.width, weights.norm, self.eps), weights.head, None)

    def _attend(self, number: int, layer: Layer, x: Tensor, position: int) -> Tensor:
        normed = F.rms_norm(x, self.width, layer.attention_norm, self.eps)
        heads = self.linear(normed, layer.qkv, layer.qkv_bias).view(self.n, -1, self.size)
        both = heads[:, : self.heads + self.kv_heads]
        both = torch.addcmul(both * self.cos[position], both.roll(self.size // 2, -1), self.sin[position])
        k, v = self.k[number], self.v[number]
        k[:, :, position] = both[:, self.heads :]
        v[:, :, position] = heads[:, self.heads + self.kv_heads :]
        q = both[:, : self.heads].reshape(self.n, self.kv_heads, -1, self.size)
        seen = position + 1
        return F.scaled_dot_product_attention(q, k[:, :, :seen], v[:, :, :seen]).view(self.n, -1)
