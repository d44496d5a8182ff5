"""The paged KV cache against plain arrays."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.kernels.paged_kv import PagedKV
from engine.models.config import DecoderConfig

CONFIG = DecoderConfig(
    vocabulary=8, hidden=12, layers=2, heads=6, kv_heads=3, head_size=4, intermediate=8, context=64
)
BLOCKS, SIZE = 6, 4


def filled(seed: int = 0) -> tuple[PagedKV, Tensor, Tensor]:
    """A cache with random keys and values in every slot but those of block 0, and they by layer and slot."""
    kv = PagedKV(CONFIG, BLOCKS, SIZE, torch.float32, torch.device("cpu"))
    k, v = torch.randn(2, 2, BLOCKS * SIZE, 3, 4, generator=torch.Generator().manual_seed(seed))
    k[:, :SIZE] = v[:, :SIZE] = 0
    slots = np.random.default_rng(seed).permutation(np.arange(SIZE, BLOCKS * SIZE))
    for layer in range(2):
        kv.write(layer, kv.index(slots), k[layer, slots], v[layer, slots])
    return kv, k, v


def everything(kv: PagedKV) -> tuple[Tensor, Tensor]:
    """Keys and values [layers, slots, kv_heads, h] of all blocks."""
    k, v = kv.data.view(2, -1, 2, 3, 4).unbind(2)
    return k, v


def same(kv: PagedKV, k: Tensor, v: Tensor) -> bool:
    got = everything(kv)
    return bool((got[0] == k).all() and (got[1] == v).all())


def test_what_is_written_is_gathered_and_nothing_else_changes() -> None:
    kv, k, v = filled()
    assert kv.blocks == BLOCKS and same(kv, k, v)


@given(st.lists(st.lists(st.integers(0, BLOCKS - 1), min_size=3, max_size=3), min_size=1, max_size=4))
def test_gather_takes_blocks_in_the_order_of_the_table(table: list[list[int]]) -> None:
    kv, k, v = filled()
    window = kv.window(torch.tensor(table))
    for layer in range(2):
        keys, values = kv.gather(layer, window)
        assert keys.shape == values.shape == (len(table), 3, 3 * SIZE, 4)
        for i, blocks in enumerate(table):
            slots = [block * SIZE + place for block in blocks for place in range(SIZE)]
            assert (keys[i].transpose(0, 1) == k[layer, slots]).all()
            assert (values[i].transpose(0, 1) == v[layer, slots]).all()


@settings(deadline=None)
@given(st.permutations(range(SIZE, BLOCKS * SIZE)), st.permutations(range(SIZE, BLOCKS * SIZE)), st.integers(1, 12))
def test_move_copies_all_at_once(sources: list[int], targets: list[int], count: int) -> None:
    kv, k, v = filled()
    kv.move(np.array(sources[:count]), np.array(targets[:count]))
    k[:, targets[:count]], v[:, targets[:count]] = k[:, sources[:count]], v[:, sources[:count]]
    assert same(kv, k, v)


def test_clear_zeroes_its_blocks_alone_even_of_what_is_not_a_number() -> None:
    kv, k, v = filled()
    kv.data[:, SIZE * 2 : SIZE * 3] = torch.nan
    kv.clear(np.array([2, 4]))
    for block in (2, 4):
        k[:, block * SIZE : (block + 1) * SIZE] = v[:, block * SIZE : (block + 1) * SIZE] = 0
    assert same(kv, k, v)
    kv.clear(np.array([], np.int64))
    assert same(kv, k, v)


def test_clear_slots_zeroes_its_tokens_alone() -> None:
    kv, k, v = filled()
    kv.clear_slots(np.array([5, 19]))
    k[:, [5, 19]] = v[:, [5, 19]] = 0
    assert same(kv, k, v)
