"""The fast products are those of F.linear."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from engine.kernels.linear import PackedLinear, linear_for


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 16, 70])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_products_are_those_of_torch(rows: int, biased: bool, strided: bool) -> None:
    weights = [random(48, 32), random(7, 32), random(64, 48)]
    linear = linear_for([*weights, random(5)])
    for weight in weights:
        out, width = weight.shape
        x = random(rows, 2 * width)[:, ::2] if strided else random(rows, width)
        bias = random(out) if biased else None
        got = linear(x, weight, bias)
        torch.testing.assert_close(got, F.linear(x, weight, bias), atol=1e-5, rtol=1e-4)
        assert got.is_contiguous()


def test_other_numbers_are_left_to_torch() -> None:
    assert linear_for([random(8, 8).bfloat16()]) is F.linear
    assert linear_for([random(8, 8).double()]) is F.linear
    assert linear_for([random(8, 8), random(8, 8).bfloat16()]) is F.linear


def test_a_weight_that_was_not_packed_is_an_error() -> None:
    with pytest.raises(KeyError):
        PackedLinear([random(8, 8)])(random(3, 8), random(8, 8))
