"""Attention over the paged KV cache: one dispatch for prefill, decode and the verification of trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.errors import InputError
from engine.kernels import reference
from engine.kernels.paged_kv import PagedKV


@dataclass(frozen=True, slots=True)
class Segment:
    """Sequences of a step that attend together: their new tokens and what these may see.

    The new tokens are ``start`` to ``stop`` of the step's row of tokens. ``padded`` [sequences, longest] places each
    sequence's tokens in a rectangle (indices from ``start``), ``flat`` takes them out again; None where all sequences
    have the same number. ``block_rows``: their blocks, as PagedKV.block_rows makes them. ``mask`` [sequences, longest,
    n * block_size] is 0 where a new token may look and -inf elsewhere. ``fresh``: one sequence that begins here, so that
    plain causal attention over its new tokens is all there is; it needs neither blocks nor mask.
    """

    start: int
    stop: int
    sequences: int
    longest: int
    padded: Tensor | None = None
    flat: Tensor | None = None
    block_rows: Tensor | None = None
    mask: Tensor | None = None
    fresh: bool = False


Kernel = Callable[[int, PagedKV, Segment, Tensor, Tensor, Tensor], Tensor]
KERNELS: dict[str, Kernel] = {"reference": reference.attend}


class PagedAttention:
    """Attention of one step: keeps the new keys and values, then attends segment by segment."""

    def __init__(self, kv: PagedKV, head_rows: Tensor, segments: Sequence[Segment], kernel: str = "reference"):
        if kernel not in KERNELS:
            raise InputError(f"unknown attention kernel {kernel!r}; choose one of {', '.join(KERNELS)}.")
        self._kv, self._head_rows, self._segments, self._attend = kv, head_rows, segments, KERNELS[kernel]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self._kv.write(layer, self._head_rows, k, v)
        parts = [self._attend(layer, self._kv, part, *_of(part, q, k, v)) for part in self._segments]
        if len(parts) == 1:
            return parts[0]
        out = q.new_empty((q.shape[0], q.shape[1] * q.shape[2]))
        for segment, part in zip(self._segments, parts, strict=True):
            out[segment.start : segment.stop] = part
        return out


def _of(segment: Segment, *tensors: Tensor) -> list[Tensor]:
    return [tensor[segment.start : segment.stop] for tensor in tensors]
