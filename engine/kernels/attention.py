"""Attention over the paged KV cache: one dispatch for prefill, decode and the verification of trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import InputError
from engine.kernels import reference
from engine.kernels.paged_kv import PagedKV, Window


@dataclass(frozen=True, slots=True)
class Segment:
    """Sequences of a step that attend together: their new tokens and what these may see.

    The new tokens are ``start`` to ``stop`` of the step's row of tokens. ``padded`` [sequences, longest] places each
    sequence's tokens in a rectangle (indices from ``start``), ``flat`` takes them out again; None where all sequences
    have the same number. ``window``: the blocks of each. ``mask`` [sequences, 1, longest, tokens of the window] is 0
    where a new token may look and -inf elsewhere; None where all of them see the first ``seen`` tokens. ``fresh``: one
    sequence that begins here, so that plain causal attention over its new tokens is all there is.
    """

    start: int
    stop: int
    sequences: int
    longest: int
    padded: Tensor | None = None
    flat: Tensor | None = None
    window: Window | None = None
    seen: int = 0
    mask: Tensor | None = None
    fresh: bool = False


Kernel = Callable[[int, PagedKV, Segment, Tensor, Tensor, Tensor], Tensor]
KERNELS: dict[str, Kernel] = {"reference": reference.attend}


class PagedAttention:
    """Attention of one step: keeps the new keys and values at ``slots``, then attends segment by segment."""

    def __init__(self, kv: PagedKV, slots: Tensor, segments: Sequence[Segment], kernel: str = "reference"):
        if kernel not in KERNELS:
            raise InputError(f"unknown attention kernel {kernel!r}; choose one of {', '.join(KERNELS)}.")
        self._kv, self._slots, self._segments, self._attend = kv, slots, segments, KERNELS[kernel]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self._kv.write(layer, self._slots, k, v)
        if len(self._segments) == 1:
            return self._attend(layer, self._kv, self._segments[0], q, k, v)
        parts = [self._attend(layer, self._kv, segment, *_of(segment, q, k, v)) for segment in self._segments]
        return torch.cat(parts)


def _of(segment: Segment, *tensors: Tensor) -> list[Tensor]:
    return [tensor[segment.start : segment.stop] for tensor in tensors]
