"""The KV cache of one model as tensors in blocks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.config import DecoderConfig

PADDING_BLOCK = 0


class PagedKV:
    """Keys and values, each [layers, blocks * kv_heads, block_size * h]: a row is one head's share of a block.

    Block 0 is never written: short block tables are padded with it. A token's slot is block * block_size + place.
    """

    def __init__(self, config: DecoderConfig, blocks: int, block_size: int, dtype: torch.dtype, device: torch.device):
        self.kv_heads, self.head_size, self.block_size = config.kv_heads, config.head_size, block_size
        shape = (config.layers, blocks * config.kv_heads, block_size * config.head_size)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def blocks(self) -> int:
        return self.k.shape[1] // self.kv_heads

    def grow(self, blocks: int) -> None:
        """Add ``blocks`` empty blocks."""
        layers, _, width = self.k.shape
        more = self.k.new_zeros((layers, blocks * self.kv_heads, width))
        self.k, self.v = torch.cat([self.k, more], dim=1), torch.cat([self.v, more], dim=1)

    def head_rows(self, slots: NDArray[np.int64]) -> Tensor:
        """Where each head of the tokens at ``slots`` [t] lives, in rows of h numbers: [t * kv_heads]."""
        block, place = np.divmod(slots, self.block_size)
        rows = (block[:, None] * self.kv_heads + np.arange(self.kv_heads)) * self.block_size + place[:, None]
        return torch.from_numpy(rows.ravel()).to(self.k.device)

    def block_rows(self, blocks: NDArray[np.int64]) -> Tensor:
        """Where each head's share of ``blocks`` [b, n] lives, in rows of a block: [b * kv_heads * n]."""
        rows = blocks[:, None, :] * self.kv_heads + np.arange(self.kv_heads)[:, None]
        return torch.from_numpy(rows.ravel()).to(self.k.device)

    def write(self, layer: int, head_rows: Tensor, k: Tensor, v: Tensor) -> None:
        """Keep k and v [t, kv_heads, h] of one layer."""
        self.k[layer].view(-1, self.head_size).index_copy_(0, head_rows, k.reshape(-1, self.head_size))
        self.v[layer].view(-1, self.head_size).index_copy_(0, head_rows, v.reshape(-1, self.head_size))

    def gather(self, layer: int, block_rows: Tensor, sequences: int) -> tuple[Tensor, Tensor]:
        """Keys and values [sequences, kv_heads, n * block_size, h] behind ``block_rows``."""
        shape = (sequences, self.kv_heads, -1, self.head_size)
        return self.k[layer].index_select(0, block_rows).view(shape), self.v[layer].index_select(0, block_rows).view(shape)

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Copy the keys and values of the tokens at slots ``sources`` to slots ``targets``, all layers at once."""
        source, target = self.head_rows(sources), self.head_rows(targets)
        for cache in (self.k, self.v):
            rows = cache.view(cache.shape[0], -1, self.head_size)
            rows[:, target] = rows[:, source]

    def clear(self, blocks: NDArray[np.int64]) -> None:
        """Zero ``blocks``, so that numbers that are none do not reach their next owner."""
        rows = self.block_rows(blocks[None])
        self.k[:, rows] = 0
        self.v[:, rows] = 0
