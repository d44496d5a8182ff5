"""A forward as kernels want it that take pages and a dense mask, such as FlashInfer's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.metadata import AttentionMetadata
from engine.kernels.reference import hidden_causally, hidden_in_tree


@dataclass(frozen=True, slots=True)
class Pages:
    """Of b sequences: ``first_query`` and ``first_page`` [b + 1] where each one's new tokens and pages begin, ``pages`` the
    physical pages one sequence after another, ``last`` [b] tokens in each one's last page, all int32. ``mask``: what each new
    token sees of its sequence, row by row in one line of bool; None where everybody sees all up to itself."""

    first_query: NDArray[np.int32]
    first_page: NDArray[np.int32]
    pages: Tensor
    last: NDArray[np.int32]
    mask: Tensor | None


def pages_of(metadata: AttentionMetadata, page_size: int) -> Pages:
    """What ``metadata`` says, by pages."""
    context, whole, tree = metadata.lens_cpu
    needed = -(-whole // page_size)
    columns = torch.arange(metadata.block_tables.shape[1], device=metadata.block_tables.device)
    there = columns < torch.from_numpy(needed).to(columns.device)[:, None]
    pages = metadata.block_tables[: len(whole)][there].int()
    last = whole - (needed - 1) * page_size
    mask = _mask(metadata) if (tree < whole).any() else None
    return Pages(_begins(whole - context), _begins(needed), pages, last.astype(np.int32), mask)


def _mask(metadata: AttentionMetadata) -> Tensor:
    start, rows = 0, []
    for i, (context, whole, tree) in enumerate(metadata.lens_cpu.T.tolist()):
        new = whole - context
        if tree < whole:
            hidden = hidden_in_tree(metadata.lens[2, i : i + 1], metadata.tree_mask[None, start : start + new], whole)
        else:
            hidden = hidden_causally(metadata.lens[0, i : i + 1], new, whole)
        rows.append(~hidden.flatten())
        start += new
    return torch.cat(rows)


def _begins(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
