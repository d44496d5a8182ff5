"""The optimiser: Muon for the matrices of the layers, AdamW for the rest, one warm-up-stable-decay schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.models.decoder import Weights

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
RMS = 0.2


class Optimiser:
    """Steps over the weights. ``rate`` is the peak learning rate, in AdamW's units for the matrices too."""

    def __init__(self, weights: Weights, rate: float, decay: float):
        tensors = weights.tensors()
        ends = [weights.embedding, weights.head]
        self._matrices = [t for t in tensors if t.dim() == 2 and not any(t is end for end in ends)]
        rest = [t for t in tensors if not any(t is matrix for matrix in self._matrices)]
        fused = weights.norm.is_cuda
        self._adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)
        self._momenta = [torch.zeros_like(t) for t in self._matrices]
        self._rate, self._decay = rate, decay

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One update at ``share`` of the peak rate; the gradients are cleared."""
        rate = self._rate * share
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._adam.zero_grad()
        for matrix, momentum in zip(self._matrices, self._momenta, strict=True):
            gradient = matrix.grad
            if gradient is None:
                continue
            momentum.lerp_(gradient, 0.05)
            update = orthogonal(gradient.lerp(momentum, 0.95))
            matrix.mul_(1 - rate * self._decay)
            matrix.add_(update, alpha=-rate * RMS * math.sqrt(max(matrix.shape)))
            matrix.grad = None


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, about, by Newton-Schulz iteration (Jordan et al., Muon, 2024)."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16()
    x = x.mT if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrix.dtype)


def share_of(step: int, steps: int, warmup: int, decay: float) -> float:
    """The learning rate's share at ``step``: a linear rise, a plateau, a linear fall over the last ``decay`` of the steps."""
    return max(0.0, min(1.0, (step + 1) / max(1, warmup), (steps - step) / max(1.0, steps * decay)))
