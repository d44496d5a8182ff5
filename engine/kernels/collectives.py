"""What the ranks of a split model bring together, and how one that computes alone does without."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Collectives(Protocol):
    """Every rank calls the same of these in the same order, with tensors of the same shape."""

    def sum(self, x: Tensor) -> Tensor:
        """x [t, hidden] summed over the ranks, until the next sum; x may be overwritten."""

    def gather(self, logits: Tensor) -> Tensor:
        """Logits [m, vocabulary / ranks] of each rank, side by side: [m, vocabulary]."""

    def wait(self, event: torch.cuda.Event) -> None:
        """Until the device is past ``event``; raises where that cannot come any more."""


class Alone:
    """One rank has the whole model."""

    def sum(self, x: Tensor) -> Tensor:
        return x

    def gather(self, logits: Tensor) -> Tensor:
        return logits

    def wait(self, event: torch.cuda.Event) -> None:
        event.synchronize()
