"""Triton's layer kernels are the reference's."""

from __future__ import annotations

import pytest
import torch

from engine.kernels.attention import kernels_named
from tests.engine.kernels.triton.forwards import DEVICE

REFERENCE, TRITON = kernels_named("reference").ops, kernels_named("triton").ops
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


@pytest.mark.parametrize(("rows", "hidden"), [(1, 32), (3, 48), (5, 1500), (2, 4096)])
def test_norms(rows: int, hidden: int) -> None:
    x, delta, weight = random(rows, hidden), random(rows, hidden, seed=1), random(hidden, seed=2)
    torch.testing.assert_close(TRITON.norm(x, weight, 1e-5), REFERENCE.norm(x, weight, 1e-5), **CLOSE)
    want = REFERENCE.add_norm(x.clone(), delta, weight, 1e-5)
    for got, expected in zip(TRITON.add_norm(x.clone(), delta, weight, 1e-5), want, strict=True):
        torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize(("rows", "width"), [(1, 8), (3, 1024), (2, 1500)])
def test_silu_mul(rows: int, width: int) -> None:
    gate_up = 3 * random(rows, 2 * width)
    torch.testing.assert_close(TRITON.silu_mul(gate_up), REFERENCE.silu_mul(gate_up), **CLOSE)
