"""Paged attention of prefill, decode and token trees in one kernel, split over the context (flash decoding).

A tile is up to ``queries`` new tokens of one sequence with all query heads of one KV head: the rows of its products. What
all of them see, the context, goes without a mask; the tile's end and its tree go under one, by the bits of the tree mask.
A second kernel joins the parts of a split by their log-sum-exps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.kernels.metadata import AttentionMetadata
from engine.kernels.paged_kv import PagedKV
from engine.kernels.rotary import Rotary

FEWEST_ROWS, MOST_PARTS = 16, 32
PROGRAMS = 264
LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit(do_not_specialize_on_alignment=["slots"])
def _turn_and_keep(
    stacked, cos, sin, q, cache, slots, heads, kv_heads, cache_stride,
    HALF: tl.constexpr,
):
    """One head of one token: a query turns into ``q``, a key turns into the cache, a value goes there as it is."""
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pair = tl.arange(0, HALF)
    source = stacked + (token * (heads + 2 * kv_heads) + head) * 2 * HALF + pair
    low, high = tl.load(source), tl.load(source + HALF)
    if head < heads + kv_heads:
        angle = token * 2 * HALF + pair
        a, b = low.to(tl.float32), high.to(tl.float32)
        low = (a * tl.load(cos + angle).to(tl.float32) + b * tl.load(sin + angle).to(tl.float32)).to(low.dtype)
        high = (b * tl.load(cos + HALF + angle).to(tl.float32) + a * tl.load(sin + HALF + angle).to(tl.float32)).to(low.dtype)
    if head < heads:
        target = q + (token * heads + head) * 2 * HALF + pair
        tl.store(target, low)
        tl.store(target + HALF, high)
    else:
        slot = tl.load(slots + token)
        if slot >= 0:
            target = cache + slot * cache_stride + (head - heads) * 2 * HALF + pair
            tl.store(target, low)
            tl.store(target + HALF, high)


@triton.jit
def _scores(q, k, scale):
    return tl.dot(q, tl.trans(k), input_precision="ieee") * scale


@triton.jit
def _fold(s, v, most, total, mixed):
    """One block of an online softmax in base 2."""
    higher = tl.maximum(most, tl.max(s, 1))
    safe = tl.where(higher == float("-inf"), 0.0, higher)
    p = tl.exp2(s - safe[:, None])
    shrink = tl.exp2(most - safe)
    mixed = mixed * shrink[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee")
    return higher, total * shrink + tl.sum(p, 1), mixed


@triton.jit(
    do_not_specialize=["sequences", "tile_count", "table_stride", "words"],
    do_not_specialize_on_alignment=["tables", "tiles", "starts", "lens", "mask"],
)
def _attend(
    q, cache, out, lse, tables, tiles, starts, lens, mask, scale,
    sequences, tile_count, heads, cache_stride, table_stride, words,
    HEAD: tl.constexpr, GROUP: tl.constexpr, PAGE: tl.constexpr,
    QUERIES: tl.constexpr, ROWS: tl.constexpr, TOKENS: tl.constexpr, PARTS: tl.constexpr, TREES: tl.constexpr,
):
    tile, kv_head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    sequence = tl.load(tiles + tile)
    if sequence < 0:
        return
    first = tl.load(tiles + tile_count + tile)
    context, whole = tl.load(lens + sequence), tl.load(lens + sequences + sequence)
    tree = tl.load(lens + 2 * sequences + sequence)
    row = tl.arange(0, ROWS)
    query = first + row // GROUP
    valid = (row < QUERIES * GROUP) & (context + query < whole)
    token = tl.load(starts + sequence) + query
    head = kv_head * GROUP + row % GROUP
    inner = tl.arange(0, HEAD)
    queries = tl.load(q + (token * heads + head)[:, None] * HEAD + inner[None, :], valid[:, None], 0.0)

    own = context + query
    last = tl.minimum(context + first + QUERIES, whole)
    size = tl.cdiv(tl.cdiv(last, TOKENS), PARTS) * TOKENS
    begin = part * size
    end = tl.minimum(begin + size, last)
    unmasked = tl.minimum(context + first + 1, tree)
    free = tl.maximum(tl.minimum(unmasked // TOKENS * TOKENS, end), begin)

    most = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mixed = tl.zeros([ROWS, HEAD], tl.float32)
    table = tables + sequence * table_stride
    kv = cache + kv_head * HEAD + inner[None, :]
    values = tl.num_programs(1) * HEAD
    for at in range(begin, free, TOKENS):
        place = at + tl.arange(0, TOKENS)
        slot = tl.load(table + place // PAGE).to(tl.int64) * PAGE + place % PAGE
        k = tl.load(kv + slot[:, None] * cache_stride)
        v = tl.load(kv + slot[:, None] * cache_stride + values)
        most, total, mixed = _fold(_scores(queries, k, scale), v, most, total, mixed)
    for at in tl.range(free, end, TOKENS, num_stages=1):
        place = at + tl.arange(0, TOKENS)
        inside = place < end
        slot = tl.load(table + place // PAGE, inside, 0).to(tl.int64) * PAGE + place % PAGE
        k = tl.load(kv + slot[:, None] * cache_stride, inside[:, None], 0.0)
        v = tl.load(kv + slot[:, None] * cache_stride + values, inside[:, None], 0.0)
        seen = inside[None, :] & (place[None, :] <= own[:, None])
        if TREES:
            node = place - tree
            there = seen & valid[:, None] & (node >= 0)[None, :]
            word = tl.load(mask + token[:, None] * words + (node // 64)[None, :], there, 0)
            seen = seen & ((node < 0)[None, :] | (((word >> (node % 64)[None, :]) & 1) == 1))
        s = tl.where(seen, _scores(queries, k, scale), float("-inf"))
        most, total, mixed = _fold(s, v, most, total, mixed)

    if PARTS == 1:
        mixed = mixed / tl.where(total > 0, total, 1.0)[:, None]
        tl.store(out + (token * heads + head)[:, None] * HEAD + inner[None, :], mixed.to(out.dtype.element_ty), valid[:, None])
    else:
        at = (token * heads + head) * PARTS + part
        tl.store(out + at[:, None] * HEAD + inner[None, :], mixed / tl.where(total > 0, total, 1.0)[:, None], valid[:, None])
        tl.store(lse + at, tl.where(total > 0, most + tl.log2(total), float("-inf")), valid)


@triton.jit
def _join(parts, lse, out, HEAD: tl.constexpr, PARTS: tl.constexpr):
    """One head of one token: its parts, each by its share of the softmax."""
    at = tl.program_id(0).to(tl.int64)
    part, inner = tl.arange(0, PARTS), tl.arange(0, HEAD)
    weight = tl.load(lse + at * PARTS + part)
    most = tl.max(weight, 0)
    share = tl.exp2(weight - tl.where(most == float("-inf"), 0.0, most))
    mixed = tl.load(parts + (at * PARTS + part)[:, None] * HEAD + inner[None, :], (weight > float("-inf"))[:, None], 0.0)
    total = tl.sum(share, 0)
    joined = tl.sum(mixed * share[:, None], 0) / tl.where(total > 0, total, 1.0)
    tl.store(out + at * HEAD + inner, joined.to(out.dtype.element_ty))


@dataclass(frozen=True, slots=True)
class Launch:
    """In what shape ``_attend`` is launched: ``queries`` a tile, ``rows`` of its products, ``parts`` of the context, which is
    read by ``tokens`` at a time; ``warps`` and pipeline ``stages`` of a program."""

    queries: int
    rows: int
    parts: int
    tokens: int = 64
    warps: int = 4
    stages: int = 3


def launch_for(queries: int, tiles: int, group: int, kv_heads: int) -> Launch:
    """For ``tiles`` tiles of ``queries`` new tokens: as many parts as fill the card."""
    rows = max(FEWEST_ROWS, triton.next_power_of_2(queries * group))
    parts = min(MOST_PARTS, triton.next_power_of_2(max(1, PROGRAMS // max(1, tiles * kv_heads))))
    return Launch(queries, rows, parts, stages=2 if rows == FEWEST_ROWS else 3)


class TritonAttention:
    """Attention of one forward."""

    def __init__(self, kv: PagedKV, metadata: AttentionMetadata):
        self._kv, self._metadata = kv, metadata

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        kv, metadata = self._kv, self._metadata
        tokens, h, cache = stacked.shape[0], kv.head_size, kv.data[layer]
        q = self.turn_and_keep(layer, stacked, rotary)
        group, count = rotary.heads // rotary.kv_heads, metadata.tiles.shape[1]
        launch = launch_for(metadata.tile_queries, count, group, rotary.kv_heads)
        out = stacked.new_empty(tokens, rotary.heads * h)
        split = launch.parts > 1
        parts = stacked.new_empty(tokens * rotary.heads * launch.parts * h, dtype=torch.float32) if split else out
        lse = stacked.new_empty(tokens * rotary.heads * launch.parts, dtype=torch.float32) if split else out
        _attend[(count, rotary.kv_heads, launch.parts)](
            q, cache, parts, lse, metadata.block_tables, metadata.tiles, metadata.starts, metadata.lens, metadata.tree_mask,
            h**-0.5 * LOG2E.value, metadata.lens.shape[1], count, rotary.heads, cache.stride(0),
            metadata.block_tables.stride(0), metadata.tree_mask.shape[1],
            HEAD=h, GROUP=group, PAGE=kv.block_size, QUERIES=launch.queries, ROWS=launch.rows, TOKENS=launch.tokens,
            PARTS=launch.parts, TREES=metadata.tree_mask.shape[1] > 0, num_warps=launch.warps,
            num_stages=launch.stages,
        )
        if split:
            _join[(tokens * rotary.heads,)](parts, lse, out, HEAD=h, PARTS=launch.parts, num_warps=1)
        return out

    def turn_and_keep(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        """The turned queries [t, heads, h], after keys and values were kept in the cache."""
        tokens, h, cache = stacked.shape[0], self._kv.head_size, self._kv.data[layer]
        q = stacked.new_empty(tokens, rotary.heads, h)
        _turn_and_keep[(tokens, rotary.heads + 2 * rotary.kv_heads)](
            stacked, rotary.cos, rotary.sin, q, cache, self._metadata.slot_mapping, rotary.heads, rotary.kv_heads,
            cache.stride(0), HALF=h // 2, num_warps=1,
        )
        return q
