"""Triton's beam expansion is the reference's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels import beams
from engine.kernels.triton import beams as triton_beams
from tests.engine.kernels.triton.forwards import DEVICE

VOCABULARY = 5000


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.sampled_from([40, VOCABULARY]), st.integers(0, 99))
def test_layers_are_those_of_the_reference(n: int, width: int, depth: int, vocabulary: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    words = depth * width // 64 + 1
    bits = beams.to_see(depth, width, words, torch.device(DEVICE))
    above = torch.ones(n, 1, dtype=torch.float64, device=DEVICE)
    seen = torch.zeros(n, width, words, dtype=torch.int64, device=DEVICE)
    for layer in range(depth):
        logits = 4 * torch.randn(n * above.shape[1], vocabulary, generator=generator).to(DEVICE)
        want = beams.expand(logits, above, seen, bits[layer])
        paths, *rest = triton_beams.expand(logits, above, seen, bits[layer])
        torch.testing.assert_close(paths, want[0], atol=1e-7, rtol=1e-4)
        for got, expected in zip(rest, want[1:], strict=True):
            torch.testing.assert_close(got, expected)
        above, seen = want[0], want[3]


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_proposes_nothing(broken: float) -> None:
    logits = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    logits[0, 4500] = broken
    ones, seen = torch.ones(2, 1, dtype=torch.float64, device=DEVICE), torch.zeros(2, 3, 1, dtype=torch.int64, device=DEVICE)
    paths, *_ = triton_beams.expand(logits, ones, seen, beams.to_see(1, 3, 1, torch.device(DEVICE))[0])
    assert (paths[0] == 0).all() and (paths[1] > 0).all()


def test_masked_tokens_are_never_proposed() -> None:
    """A vocabulary of which only the first tokens can be, as that of a widened model."""
    logits = torch.full((1, 3 * triton_beams.COLUMNS), float("-inf"), device=DEVICE)
    logits[0, :50] = torch.randn(50, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    ones, seen = torch.ones(1, 1, dtype=torch.float64, device=DEVICE), torch.zeros(1, 4, 1, dtype=torch.int64, device=DEVICE)
    bits = beams.to_see(1, 4, 1, torch.device(DEVICE))[0]
    paths, _, tokens, _ = triton_beams.expand(logits, ones, seen, bits)
    want = beams.expand(logits, ones, seen, bits)
    torch.testing.assert_close(paths, want[0], atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(tokens, want[2])
