"""Rotary positions of one forward's tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rotary:
    """By how much the heads of t tokens turn: ``cos`` and signed ``sin`` [t, 1, h], pairs (i, i + h / 2).

    ``heads`` queries and ``kv_heads`` keys turn; as many values do not.
    """

    cos: Tensor
    sin: Tensor
    heads: int
    kv_heads: int

    def split(self, stacked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries, turned keys, and values of ``stacked`` [t, heads + 2 * kv_heads, h]."""
        turned = rotate(stacked[:, : self.heads + self.kv_heads], self.cos, self.sin)
        return turned[:, : self.heads], turned[:, self.heads :], stacked[:, self.heads + self.kv_heads :]


def signed_sine(angles: Tensor) -> Tensor:
    """sin with the first half negated: x * cos + roll(x, half) * signed_sine turns pairs (i, i + half)."""
    sine = angles.sin()
    half = sine.shape[-1] // 2
    return torch.cat([-sine[..., :half], sine[..., half:]], dim=-1)


def rotate(x: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """Rotary embedding of x [t, heads, h] with pairs (i, i + h / 2), cos and signed sin [t, 1, h]."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), signed_sin)
