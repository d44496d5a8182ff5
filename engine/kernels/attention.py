"""Attention over the paged KV cache: one dispatch for prefill, decode and the verification of trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from engine.errors import InputError
from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV
from engine.kernels.reference import ReferenceAttention


class Attention(Protocol):
    """Keeps keys and values, and attends. q [t, heads, h], k and v [t, kv_heads, h] of one layer -> [t, heads * h]."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


Kernel = Callable[[PagedKV, AttentionMetadata], Attention]
KERNELS: dict[str, Kernel] = {"reference": ReferenceAttention}


def kernel_named(name: str) -> Kernel:
    """What makes the attention of one forward, which keeps the new keys and values and attends. InputError when unknown."""
    if name not in KERNELS:
        raise InputError(f"unknown attention kernel {name!r}; choose one of {', '.join(KERNELS)}.")
    return KERNELS[name]
