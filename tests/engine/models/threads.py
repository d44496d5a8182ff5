"""The ranks of a split decoder as threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

from engine.models.decoder import Decoder

T = TypeVar("T")


class InThreads:
    """The collectives of thread ``rank``: what all put down, each takes up."""

    def __init__(self, rank: int, shared: list[Tensor], barrier: Barrier):
        self._rank, self._shared, self._barrier = rank, shared, barrier

    def sum(self, x: Tensor) -> Tensor:
        return torch.stack(self._every(x)).sum(0)

    def gather(self, logits: Tensor) -> Tensor:
        return torch.cat(self._every(logits), -1)

    def wait(self, event: torch.cuda.Event) -> None:
        raise NotImplementedError

    def _every(self, x: Tensor) -> list[Tensor]:
        self._shared[self._rank] = x
        self._barrier.wait()
        every = list(self._shared)
        self._barrier.wait()
        return every


def on_ranks(parts: Sequence[Decoder], compute: Callable[[Decoder], T]) -> list[T]:
    """What ``compute`` gives on each rank, all at once."""
    shared, barrier = [torch.empty(0)] * len(parts), Barrier(len(parts), timeout=60)
    for rank, part in enumerate(parts):
        part.collectives = InThreads(rank, shared, barrier)
    with ThreadPoolExecutor(len(parts)) as threads:
        return list(threads.map(compute, parts))
