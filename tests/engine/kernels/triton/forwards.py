"""Random forwards: sequences of every kind over a shuffled cache, as both kernels take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from engine.executors.native.forward_input import see, words_for
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.kernels.rotary import Rotary
from engine.models.config import DecoderConfig

PAGE = 16
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Sequence:
    """``context`` tokens in the cache, ``new`` ones, of which the last are a ``tree``, with tree tokens in the cache too."""

    context: int
    new: int
    tree: int = 0


plain = st.builds(Sequence, st.integers(0, 200), st.integers(1, 40))
decodes = st.builds(Sequence, st.integers(1, 200), st.just(1))
trees = st.integers(1, 80).flatmap(lambda nodes: st.builds(Sequence, st.integers(1, 150), st.just(nodes), st.just(nodes)))
drafts = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        lambda context, layer: Sequence(context + (layer - 1) * width, width, layer * width),
        st.integers(1, 150), st.integers(1, 5),
    )
)
batches = st.lists(st.one_of(plain, decodes, trees, drafts), min_size=1, max_size=5)


@dataclass(frozen=True)
class Forward:
    """One layer's input of one forward."""

    kv: PagedKV
    metadata: AttentionMetadata
    stacked: Tensor
    rotary: Rotary

    def copy_of_cache(self) -> PagedKV:
        other = PagedKV(_config(self.rotary, self.kv), self.kv.blocks, PAGE, self.kv.data.dtype, self.kv.device)
        other.data.copy_(self.kv.data)
        return other


def _config(rotary: Rotary, kv: PagedKV) -> DecoderConfig:
    return DecoderConfig(8, 8, 2, rotary.heads, rotary.kv_heads, kv.head_size, 8, 64)


def make(sequences: list[Sequence], heads: int, kv_heads: int, head_size: int, seed: int, dtype: torch.dtype) -> Forward:
    """Sequences over random blocks with random masks: a node sees itself, its root and some nodes before it."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    context, new, tree = (np.array([getattr(one, name) for one in sequences]) for name in ("context", "new", "tree"))
    whole = context + new
    needed = -(-whole // PAGE)
    order = rng.permutation(int(needed.sum())) + 1
    tables = np.zeros((len(sequences), int(needed.max())), np.int64)
    ends = np.cumsum(needed)
    for row, (begin, end) in enumerate(zip(ends - needed, ends, strict=True)):
        tables[row, : end - begin] = order[begin:end]
    starts = np.cumsum(new) - new
    words = words_for(int(tree.max())) if tree.any() else 0
    slots, mask = np.zeros(int(new.sum()), np.int64), np.zeros((int(new.sum()), words), np.int64)
    for row, one in enumerate(sequences):
        for place in range(one.new):
            at = one.context + place
            slots[starts[row] + place] = tables[row, at // PAGE] * PAGE + at % PAGE
            if one.tree:
                own = one.tree - one.new + place
                seen = [node for node in range(own) if rng.random() < 0.4] + [own]
                for node in seen:
                    see(mask, np.array([starts[row] + place]), np.array([node]))
    lens = np.array([context, whole, whole - tree])
    config = DecoderConfig(8, 8, 2, heads, kv_heads, head_size, 8, 64)
    kv = PagedKV(config, int(needed.sum()) + 1, PAGE, dtype, torch.device(DEVICE))
    kv.data.copy_(torch.randn(kv.data.shape, generator=generator))
    size = tile_size(int(new.max()), config.group)
    on = {name: torch.from_numpy(array).to(DEVICE) for name, array in
          {"slot_mapping": slots, "block_tables": tables, "tree_mask": mask, "lens": lens, "starts": starts,
           "tiles": tiles_of(new, size)}.items()}
    tokens = int(new.sum())
    cos, sin = (torch.randn(tokens, 1, head_size, generator=generator).to(DEVICE, dtype) for _ in range(2))
    stacked = torch.randn(tokens, heads + 2 * kv_heads, head_size, generator=generator).to(DEVICE, dtype)
    return Forward(kv, AttentionMetadata(**on, tile_queries=size, lens_cpu=lens), stacked, Rotary(cos, sin, heads, kv_heads))
