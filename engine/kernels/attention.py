"""Attention over the paged KV cache, and what layers compute around it: one lazy registry of kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from torch import Tensor

from engine.errors import InputError
from engine.kernels.beams import Expand, expand
from engine.kernels.layers import LayerOps
from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV
from engine.kernels.rotary import Rotary
from engine.kernels.trees import ReferenceTrees, TreeOps


class Attention(Protocol):
    """Turns queries and keys, keeps keys and values, and attends.

    ``stacked`` [t, heads + 2 * kv_heads, h], a layer's queries, keys and values -> [t, heads * h].
    """

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor: ...


REFERENCE = ReferenceTrees()


@dataclass(frozen=True, slots=True)
class Kernels:
    """``attention`` makes the attention of one forward; ``ops`` is what layers compute around it; ``expand`` grows a draft,
    and ``trees`` is what happens to it until its tokens are accepted.

    ``reads_unwritten``: it reads slots that were never written, masked, so that they must hold numbers. ``capturable``: its
    launches depend on shapes alone, so that a CUDA graph can replay them.
    """

    attention: Callable[[PagedKV, AttentionMetadata], Attention]
    ops: LayerOps
    expand: Expand = expand
    trees: TreeOps = REFERENCE
    reads_unwritten: bool = False
    capturable: bool = False


MODULES = {
    "triton": "engine.kernels.triton", "flashinfer": "engine.kernels.flashinfer", "reference": "engine.kernels.reference",
}


def kernels_named(name: str) -> Kernels:
    """Kernels by name, imported when they are first asked for. InputError when unknown, or not to be had here."""
    if name not in MODULES:
        raise InputError(f"unknown attention kernel {name!r}; choose one of {', '.join(MODULES)}.")
    try:
        kernels: Kernels = import_module(MODULES[name]).KERNELS
    except ModuleNotFoundError as error:
        needed = f"the {name} kernels need the package {error.name}"
        raise InputError(f"{needed}; install it, or choose another --attention.") from error
    except ImportError as error:
        raise InputError(f"the {name} kernels cannot be loaded ({error}); choose --attention reference.") from error
    return kernels
