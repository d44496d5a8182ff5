"""A split model as one runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import Bucket, packed
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.parallel.commands import Command, arrays_of
from engine.executors.native.parallel.group import Group

Ints = NDArray[np.int64]


class Together(Protocol):
    """Sends a command to the other ranks; inside, rank 0 does its part."""

    def __call__(self, command: Command, arrays: Sequence[Ints] = ()) -> AbstractContextManager[None]: ...


class ParallelRunner:
    """ModelRunner's interface over all ranks. ``local`` is the runner of rank 0's own part.

    RankError when another rank died, raised or does not answer.
    """

    def __init__(self, local: ModelRunner, group: Group, together: Together):
        self.local, self._group, self._together = local, group, together

    def retire(self) -> None:
        """The other ranks have another runner now: from here on this one refuses."""
        self._together = _refuse

    def forward(self, step: ForwardInput, tokens: Tensor | None = None) -> Tensor:
        command = Command.FORWARD if tokens is None else Command.FORWARD_GIVEN
        with self._together(command, arrays_of(step)):
            return self.local.forward(step, None if tokens is None else self._group.broadcast(tokens))

    def wait(self, event: torch.cuda.Event) -> None:
        self.local.wait(event)

    def warm_up(self, buckets: Sequence[Bucket], done: Callable[[], None]) -> None:
        with self._together(Command.WARM_UP, [packed(buckets)]):
            self.local.warm_up(buckets, done)

    def swap_out(self, key: int, blocks: Ints) -> None:
        with self._together(Command.SWAP_OUT, [np.array([key]), blocks]):
            self.local.swap_out(key, blocks)

    def swap_in(self, key: int, blocks: Ints) -> None:
        with self._together(Command.SWAP_IN, [np.array([key]), blocks]):
            self.local.swap_in(key, blocks)

    def forget(self, key: int) -> None:
        with self._together(Command.FORGET, [np.array([key])]):
            self.local.forget(key)

    def move(self, sources: Ints, targets: Ints) -> None:
        with self._together(Command.MOVE, [sources, targets]):
            self.local.move(sources, targets)

    def clear(self, blocks: Ints) -> None:
        with self._together(Command.CLEAR, [blocks]):
            self.local.clear(blocks)

    def clear_slots(self, slots: Ints) -> None:
        with self._together(Command.CLEAR_SLOTS, [slots]):
            self.local.clear_slots(slots)


def _refuse(command: Command, arrays: Sequence[Ints] = ()) -> AbstractContextManager[None]:
    raise ValueError("the ranks have built another runner since; make the executor again.")
