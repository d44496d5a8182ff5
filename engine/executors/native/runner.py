"""What an executor asks of a model on a device, be it in one piece or on several ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import Bucket
from engine.models.decoder import Decoder

Ints = NDArray[np.int64]


class Runner(Protocol):
    """A model with its KV cache (see ModelRunner)."""

    def forward(self, step: ForwardInput, tokens: Tensor | None = None) -> Tensor: ...

    def wait(self, event: torch.cuda.Event) -> None: ...

    def warm_up(self, buckets: Sequence[Bucket], done: Callable[[], None]) -> None: ...

    def swap_out(self, key: int, blocks: Ints) -> None: ...

    def swap_in(self, key: int, blocks: Ints) -> None: ...

    def forget(self, key: int) -> None: ...

    def move(self, sources: Ints, targets: Ints) -> None: ...

    def clear(self, blocks: Ints) -> None: ...

    def clear_slots(self, slots: Ints) -> None: ...


class MakeRunner(Protocol):
    """ModelRunner itself, or what puts the model on several ranks."""

    def __call__(
        self, decoder: Decoder, blocks: int, block_size: int, kernel: str = "reference", graphs: bool = False, longest: int = 0
    ) -> Runner: ...
