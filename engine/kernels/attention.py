"""Attention over the paged KV cache: one dispatch for prefill, decode and the verification of trees."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import InputError
from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV
from engine.kernels.reference import ReferenceAttention
from engine.models.decoder import Attention

Kernel = Callable[[PagedKV, AttentionMetadata], Attention]
KERNELS: dict[str, Kernel] = {"reference": ReferenceAttention}


def kernel_named(name: str) -> Kernel:
    """What makes the attention of one forward, which keeps the new keys and values and attends. InputError when unknown."""
    if name not in KERNELS:
        raise InputError(f"unknown attention kernel {name!r}; choose one of {', '.join(KERNELS)}.")
    return KERNELS[name]
