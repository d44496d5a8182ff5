"""The KV cache of one model as tensors in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """Where ``PagedKV.gather`` brings the ``blocks`` of some sequences together, one after another.

    ``keys`` and ``values`` [sequences, kv_heads, n * block_size, h] are views of ``memory`` [sequences * n, numbers of a
    block], which all windows of a cache share: they hold until the next ``gather``.
    """

    blocks: Tensor
    memory: Tensor
    keys: Tensor
    values: Tensor


class Cached(Protocol):
    """What of a decoder's configuration decides the size of its cache."""

    @property
    def layers(self) -> int: ...

    @property
    def kv_heads(self) -> int: ...

    @property
    def head_size(self) -> int: ...


class PagedKV:
    """Keys and values, [layers, blocks * block_size, 2 * kv_heads * h]: a row is a token's keys, then its values.

    Its size never changes. Block 0 is never written: short block tables are padded with it. A token's slot, which is its
    row, is block * block_size + place.
    """

    def __init__(self, config: Cached, blocks: int, block_size: int, dtype: torch.dtype, device: torch.device):
        self.kv_heads, self.head_size, self.block_size = config.kv_heads, config.head_size, block_size
        shape = (config.layers, blocks * block_size, 2 * config.kv_heads * config.head_size)
        self.data, self.blocks = torch.zeros(shape, dtype=dtype, device=device), blocks
        self._slots, self._by_block = list(self.data.unbind(0)), self.data.view(config.layers, blocks, -1)
        self._blocks = [layer.view(blocks, -1) for layer in self._slots]
        self._gathered = self.data.new_empty(0)
        self._shape, self._views = (1, 1), self._view(1, 1)

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def token_bytes(self) -> int:
        """Bytes that a token takes in a layer."""
        return self.data.shape[2] * self.data.element_size()

    def index(self, numbers: Ints) -> Tensor:
        """Slots or blocks as a row on the device."""
        return torch.from_numpy(numbers.reshape(-1)).to(self.device)

    def write(self, layer: int, slots: Tensor, k: Tensor, v: Tensor) -> None:
        """Keep k and v [t, kv_heads, h] of one layer at ``slots`` [t]."""
        self._slots[layer].index_copy_(0, slots, torch.cat([k, v], 1).flatten(1))

    def window(self, blocks: Tensor) -> Window:
        """A window on ``blocks`` [sequences, n]."""
        sequences, n = blocks.shape
        if (sequences, n) != self._shape:
            self._shape, self._views = (sequences, n), self._view(sequences, n)
        return Window(blocks.reshape(-1), *self._views)

    def _view(self, sequences: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
        size = sequences * n * self._blocks[0].shape[1]
        if self._gathered.numel() < size:
            self._gathered = self.data.new_empty(size)
        memory = self._gathered[:size].view(sequences * n, -1)
        both = memory.view(sequences, n * self.block_size, 2, self.kv_heads, self.head_size).permute(2, 0, 3, 1, 4)
        return memory, both[0], both[1]

    def gather(self, layer: int, window: Window) -> tuple[Tensor, Tensor]:
        """Keys and values [sequences, kv_heads, n * block_size, h] of one layer, until the next call."""
        torch.index_select(self._blocks[layer], 0, window.blocks, out=window.memory)
        return window.keys, window.values

    def move(self, sources: Ints, targets: Ints) -> None:
        """Copy the keys and values of the tokens at slots ``sources`` to slots ``targets``, all layers at once."""
        self.data.index_copy_(1, self.index(targets), self.data.index_select(1, self.index(sources)))

    def read(self, blocks: Ints) -> Tensor:
        """The contents of ``blocks`` [layers, n, numbers of a block] in host memory."""
        return self._by_block.index_select(1, self.index(blocks)).cpu()

    def write_blocks(self, blocks: Ints, contents: Tensor) -> None:
        """Bring what ``read`` gave into as many blocks."""
        self._by_block.index_copy_(1, self.index(blocks), contents.to(self.device))

    def clear(self, blocks: Ints) -> None:
        """Zero ``blocks``: what their next owner has not written must be numbers, though masked."""
        self._by_block.index_fill_(1, self.index(blocks), 0)

    def clear_slots(self, slots: Ints) -> None:
        """Zero the keys and values of the tokens at ``slots``."""
        self.data.index_fill_(1, self.index(slots), 0)
