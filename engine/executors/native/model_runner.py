"""The device side: a model with its KV cache, which knows nothing of requests. Every rank of a split model would own one."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import ForwardInput
from engine.kernels.attention import kernels_named
from engine.kernels.linear import linear_for
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder

Ints = NDArray[np.int64]


class ModelRunner:
    """Runs forwards of one decoder against a KV cache of ``blocks`` blocks, on the decoder's device.

    ``kernel``: how attention is computed (engine.kernels.attention).
    """

    def __init__(self, decoder: Decoder, blocks: int, block_size: int, kernel: str = "reference"):
        self._decoder = copy(decoder)
        self._decoder.linear = linear_for(decoder.weights.tensors())
        self.kv = PagedKV(decoder.config, blocks, block_size, decoder.dtype, decoder.device)
        self._kernels = kernels_named(kernel)
        self._decoder.ops = self._kernels.ops

    @torch.inference_mode()
    def forward(self, step: ForwardInput) -> Tensor:
        """Logits [m, vocabulary] after the wanted tokens; keys and values of all tokens are kept.

        A position beyond the model's context counts as its last, so that a draft of a shorter context still drafts.
        """
        positions = np.minimum(step.positions, self._decoder.config.context - 1)
        attention = self._kernels.attention(self.kv, self._metadata(step))
        hidden = self._decoder.hidden(self._on_device(step.tokens), self._on_device(positions), attention)
        if len(step.wanted) < len(step.tokens):
            hidden = hidden.index_select(0, self._on_device(step.wanted))
        return self._decoder.logits(hidden)

    @torch.inference_mode()
    def move(self, sources: Ints, targets: Ints) -> None:
        """Copy the keys and values at slots ``sources`` to slots ``targets``."""
        self.kv.move(sources, targets)

    @torch.inference_mode()
    def clear(self, blocks: Ints) -> None:
        """Zero blocks that were given back, for kernels that read what was not written."""
        if self._kernels.reads_unwritten:
            self.kv.clear(blocks)

    @torch.inference_mode()
    def clear_slots(self, slots: Ints) -> None:
        """Zero the keys and values at ``slots``."""
        self.kv.clear_slots(slots)

    def _metadata(self, step: ForwardInput) -> AttentionMetadata:
        seq_lens = step.context_lens + step.query_lens
        lens = np.array([step.context_lens, seq_lens, seq_lens - step.tree_lens])
        size = tile_size(int(step.query_lens.max()), self._decoder.config.group)
        return AttentionMetadata(
            slot_mapping=self._on_device(step.slot_mapping),
            block_tables=self._on_device(step.block_tables),
            tree_mask=self._on_device(step.tree_mask),
            lens=self._on_device(lens),
            starts=self._on_device(np.cumsum(step.query_lens) - step.query_lens),
            tiles=self._on_device(tiles_of(step.query_lens, size)),
            tile_queries=size,
            lens_cpu=lens,
        )

    def _on_device(self, array: Ints) -> Tensor:
        return torch.from_numpy(array).to(self._decoder.device)
