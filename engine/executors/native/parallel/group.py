"""The ranks' process group: sums, gathers and broadcasts by gloo on CPUs, by NCCL and symmetric memory on GPUs."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from threading import Thread

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store, TCPStore

from engine.executors.native.parallel.symmetric import TWO_SHOT_BYTES, SymmetricSum
from engine.executors.native.parallel.waiting import Watch
from engine.models.split import Split

HOST = "127.0.0.1"
NEVER = timedelta(days=365)
LEAVE_S = 5.0
SETTINGS = {
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "0",
    "TORCH_NCCL_ENABLE_MONITORING": "0",
}
_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


class Group:
    """The collectives of a rank, which a CUDA graph can capture. ``description`` tells by what means they sum.

    ``patience_s``: how long gloo waits for a rank. NCCL waits for ever, since its own time-out would end the process and
    with it the records: what waits for the GPU is told to ``watch``, which raises.
    """

    def __init__(self, split: Split, device: torch.device, store: Store, patience_s: float):
        self._split, self.device = split, device
        self.watch: Watch | None = None
        self._symmetric: SymmetricSum | None = None
        if device.type == "cpu":
            limit = timedelta(seconds=patience_s)
            dist.init_process_group("gloo", store=store, rank=split.rank, world_size=split.of, timeout=limit)
            self.description = f"{split.of} ranks, gloo"
            return
        # NVLink multicast stays off, and NCCL's watchdog leaves an error to us.
        os.environ.update(SETTINGS)
        torch.cuda.set_device(device)
        dist.init_process_group(
            "nccl", store=store, rank=split.rank, world_size=split.of, timeout=NEVER, device_id=device
        )
        self.description = f"{split.of} ranks, NCCL"

    def use_symmetric_memory(self, dtype: torch.dtype) -> None:
        """Sum small tensors of this dtype through symmetric memory, where every rank can. For GPUs; all ranks call it."""
        if self.device.type == "cpu" or self._symmetric is not None:
            return
        found, reason = None, "another rank cannot"
        try:
            found = SymmetricSum(dtype, self.device)
        except (RuntimeError, ImportError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
        torch.cuda.set_device(self.device)
        able = torch.tensor([int(found is not None)], device=self.device)
        dist.all_reduce(able, dist.ReduceOp.MIN)
        if able.item():
            self._symmetric = found
            self.description = f"{self._split.of} ranks, symmetric memory up to {TWO_SHOT_BYTES >> 20} MiB, NCCL beyond"
        else:
            self.description = f"{self._split.of} ranks, NCCL alone, since symmetric memory is not to be had ({reason})"

    def sum(self, x: Tensor) -> Tensor:
        if self._symmetric is not None and self._symmetric.fits(x):
            return self._symmetric.sum(x)
        dist.all_reduce(x)
        return x

    def gather(self, logits: Tensor) -> Tensor:
        rows, columns = logits.shape
        of, every = self._split.of, logits.new_empty(self._split.of * rows, columns)
        if rows:
            _gather(every, logits)
        return every.view(of, rows, columns).transpose(0, 1).reshape(rows, of * columns)

    def broadcast(self, tokens: Tensor) -> Tensor:
        """Rank 0's ``tokens`` on every rank, in place where they lie in a row."""
        tokens = tokens.contiguous()
        dist.broadcast(tokens, 0)
        return tokens

    def wait(self, event: torch.cuda.Event) -> None:
        if self.watch is None:
            event.synchronize()
            return
        began = time.monotonic()
        while not event.query():  # type: ignore[no-untyped-call]
            self.watch(time.monotonic() - began)

    def leave(self) -> None:
        """Leave the group, in seconds even where a rank is gone. NCCL's is aborted, and both wait for the graphs that were
        captured with it: give them up first."""
        if not dist.is_initialized():
            return
        leaving = Thread(target=_abort if self.device.type == "cuda" else dist.destroy_process_group, daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)


def listen() -> TCPStore:
    """The store by which the ranks find one another, on a free port of this host."""
    return TCPStore(HOST, 0, is_master=True, wait_for_workers=False)


def call(port: int) -> TCPStore:
    """The same from another process."""
    return TCPStore(HOST, port, is_master=False)


def _abort() -> None:
    dist.distributed_c10d._abort_process_group()
