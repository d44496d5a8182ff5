"""Sums through symmetric memory are NCCL's, at once and replayed in a CUDA graph. Needs two GPUs."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from engine.executors.native.parallel.ranks import Ranks
from engine.executors.native.parallel.symmetric import SymmetricSum
from engine.models.decoder import Decoder
from engine.models.split import Split
from tests.engine.executors.native.pairs import moved
from tests.engine.executors.native.parallel.parts import part_of

CLOSE = {"rtol": 2e-2, "atol": 2e-2}


def summed_and_checked(split: Split, device: torch.device) -> Decoder:
    """Every rank runs this at the same time."""
    symmetric = SymmetricSum(torch.bfloat16, device)
    for tokens in (1, 2, 8, 64, 1024):
        x = torch.randn(tokens, 8192, device=device).bfloat16()
        wanted = x.clone()
        dist.all_reduce(wanted)
        assert symmetric.fits(x)
        torch.testing.assert_close(symmetric.sum(x).clone(), wanted, **CLOSE)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            once = symmetric.sum(x) * 1
            again = symmetric.sum(x) * 1
        for _ in range(3):
            graph.replay()
            torch.testing.assert_close(once, wanted, **CLOSE)
            torch.testing.assert_close(again, wanted, **CLOSE)
    assert not symmetric.fits(torch.empty(1025, 8192, dtype=torch.bfloat16, device=device))
    return moved(part_of(split, device), str(device))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_they_are_those_of_nccl() -> None:
    with Ranks(2, summed_and_checked, "cuda") as ranks:
        ranks.runner(summed_and_checked(ranks.split, ranks.device), 4, 16)
        assert "symmetric memory up to 16 MiB" in ranks.description
