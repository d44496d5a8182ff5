"""The device side: a model with its KV cache, which knows nothing of requests. Every rank of a split model owns one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import Bucket, Graphs
from engine.kernels.attention import kernels_named
from engine.kernels.faults import kernel_fault
from engine.kernels.linear import linear_for
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder

Ints = NDArray[np.int64]


class ModelRunner:
    """Runs forwards of one decoder against a KV cache of ``blocks`` blocks, on the decoder's device.

    ``kernel``: whose kernels compute it (engine.kernels.attention). ``graphs``: forwards of equal shape are captured once
    and replayed, with sequences of at most ``longest`` blocks.
    """

    def __init__(
        self, decoder: Decoder, blocks: int, block_size: int, kernel: str = "reference", graphs: bool = False, longest: int = 0
    ):
        self._decoder = copy(decoder)
        self._decoder.linear = linear_for(decoder.weights.tensors())
        self.kv = PagedKV(decoder.config, blocks, block_size, decoder.dtype, decoder.device)
        self.kernels = kernels_named(kernel)
        self._decoder.ops = self.kernels.ops
        self._kept: dict[int, Tensor] = {}
        self.graphs: Graphs | None = None
        if graphs and self.kernels.capturable:
            last = decoder.config.context - 1
            self.graphs = Graphs(self._compute, decoder.config.group, last, longest, decoder.device, self.wait)

    @property
    def vocabulary(self) -> int:
        return self._decoder.config.vocabulary

    @torch.inference_mode()
    def forward(self, step: ForwardInput, tokens: Tensor | None = None, tree_mask: Tensor | None = None) -> Tensor:
        """Logits [m, vocabulary] after the wanted tokens; keys and values of all tokens are kept. ``tokens`` [t] and
        ``tree_mask`` [t, words] on the device go before the step's own.

        A position beyond the model's context counts as its last, so that a draft of a shorter context still drafts.
        """
        if self.graphs is not None and (logits := self.graphs.run(step, tokens, tree_mask)) is not None:
            return logits
        positions = np.minimum(step.positions, self._decoder.config.context - 1)
        wanted = self._on_device(step.wanted) if len(step.wanted) < len(step.tokens) else None
        known = self._on_device(step.tokens) if tokens is None else tokens
        metadata = self._metadata(step, self._on_device(step.tree_mask) if tree_mask is None else tree_mask)
        return self._compute(known, self._on_device(positions), metadata, wanted)

    def wait(self, event: torch.cuda.Event) -> None:
        """Until the device is past ``event``; raises where that cannot come any more."""
        self._decoder.collectives.wait(event)

    @torch.inference_mode()
    def warm_up(self, buckets: Sequence[Bucket], done: Callable[[], None]) -> None:
        """Capture forwards of these shapes; ``done`` hears of each."""
        if self.graphs is not None:
            self.graphs.capture(buckets, done)

    def free_graphs(self) -> None:
        """Give up what was captured; forwards are launched anew from here on."""
        self.graphs = None

    @torch.inference_mode()
    def move(self, sources: Ints, targets: Ints) -> None:
        """Copy the keys and values at slots ``sources`` to slots ``targets``."""
        self.kv.move(sources, targets)

    @torch.inference_mode()
    def swap_out(self, key: int, blocks: Ints) -> None:
        """Keep the keys and values of ``blocks`` in host memory, under a number of the caller's."""
        self._kept[key] = self.kv.read(blocks)

    @torch.inference_mode()
    def swap_in(self, key: int, blocks: Ints) -> None:
        """Bring what was swapped out under ``key`` into as many blocks."""
        self.kv.write_blocks(blocks, self._kept.pop(key))

    def forget(self, key: int) -> None:
        """Give up what was swapped out under ``key``, if anything was."""
        self._kept.pop(key, None)

    @torch.inference_mode()
    def clear(self, blocks: Ints) -> None:
        """Zero blocks that were given back, for kernels that read what was not written."""
        if self.kernels.reads_unwritten:
            self.kv.clear(blocks)

    @torch.inference_mode()
    def clear_slots(self, slots: Ints) -> None:
        """Zero the keys and values at ``slots``."""
        self.kv.clear_slots(slots)

    def _compute(
        self, tokens: Tensor, positions: Tensor, metadata: AttentionMetadata, wanted: Tensor | None = None
    ) -> Tensor:
        try:
            hidden = self._decoder.hidden(tokens, positions, self.kernels.attention(self.kv, metadata))
            return self._decoder.logits(hidden if wanted is None else hidden.index_select(0, wanted))
        except Exception as error:
            if (fault := kernel_fault(error)) is not None:
                raise fault from error
            raise

    def _metadata(self, step: ForwardInput, tree_mask: Tensor) -> AttentionMetadata:
        seq_lens = step.context_lens + step.query_lens
        lens = np.array([step.context_lens, seq_lens, seq_lens - step.tree_lens])
        size = tile_size(int(step.query_lens.max()), self._decoder.config.group)
        return AttentionMetadata(
            slot_mapping=self._on_device(step.slot_mapping),
            block_tables=self._on_device(step.block_tables),
            tree_mask=tree_mask,
            lens=self._on_device(lens),
            starts=self._on_device(np.cumsum(step.query_lens) - step.query_lens),
            tiles=self._on_device(tiles_of(step.query_lens, size)),
            tile_queries=size,
            lens_cpu=lens,
        )

    def _on_device(self, array: Ints) -> Tensor:
        return torch.from_numpy(array).to(self._decoder.device)
