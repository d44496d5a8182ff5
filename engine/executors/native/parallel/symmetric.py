"""Sums of small tensors over the GPUs of one host through memory that each maps from the others, without multicast."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

TOKEN_BYTES = 8192 * 2
ONE_SHOT_BYTES, TWO_SHOT_BYTES = TOKEN_BYTES, 1024 * TOKEN_BYTES
ALIGNMENT = 16
DTYPES = (torch.bfloat16, torch.float32)


class SymmetricSum:
    """One buffer, mapped once; what is captured in a CUDA graph goes on using it.

    One-shot: each GPU reads all of what the others have. Two-shot: each sums a part and hands it out. Both end with a barrier
    on the device, after which nobody reads the buffer any more. RuntimeError where the GPUs cannot map each other's memory, or
    where the kernels cannot sum the dtype.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device):
        if dtype not in DTYPES:
            raise RuntimeError(f"it sums no {dtype}")
        import torch.distributed._symmetric_memory as symmetric

        group = dist.group.WORLD
        assert group is not None
        self._group, self._of = group.group_name, group.size()
        self._buffer = symmetric.empty(TWO_SHOT_BYTES // dtype.itemsize, dtype=dtype, device=device)
        symmetric.rendezvous(self._buffer, self._group)

    def fits(self, x: Tensor) -> bool:
        size = x.numel() * x.element_size()
        return x.dtype == self._buffer.dtype and size <= TWO_SHOT_BYTES and size % (ALIGNMENT * self._of) == 0

    def sum(self, x: Tensor) -> Tensor:
        """x over all ranks, in memory that holds until the next sum."""
        here = self._buffer[: x.numel()].view(x.shape)
        here.copy_(x)
        if x.numel() * x.element_size() <= ONE_SHOT_BYTES:
            summed: Tensor = torch.ops.symm_mem.one_shot_all_reduce(here, "sum", self._group)
            return summed
        torch.ops.symm_mem.two_shot_all_reduce_(here, "sum", self._group)
        return here
