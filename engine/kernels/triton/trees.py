"""AdaServe's selection, the layout of its trees, acceptance and compaction: a program for each request.

A request's candidates are one vector of registers, layer by layer; what a node has of its parent is found by comparing
places, since trees are small.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.kernels import trees
from engine.kernels.paged_kv import PagedKV
from engine.kernels.trees import Laid, Rows, StepInput
from engine.plan import Selection

APART, CLOSE, LEAST = tl.constexpr(trees.APART), tl.constexpr(trees.CLOSE), tl.constexpr(trees.LEAST)
NOWHERE = tl.constexpr(trees.NOWHERE)
MOST_REQUESTS, FEWEST_NODES, COLUMNS = 512, 8, 1024


@triton.jit
def _ranks_of(paths, request, requests, nodes, SIZE: tl.constexpr):
    """Path probabilities that are never alike; -1 beyond the candidates."""
    node = tl.arange(0, SIZE)
    path = tl.load(paths + request * nodes + node, node < nodes, -1.0)
    return tl.where(node < nodes, path * (1.0 - APART * (node * requests + request).to(tl.float64)), -1.0)


@triton.jit(
    do_not_specialize=["requests", "nodes", "depth", "n_max"],
    do_not_specialize_on_alignment=["need"],
)
def _want(paths, need, ranks, order, wanted, requests, nodes, depth, n_max, SIZE: tl.constexpr):
    """How many nodes a request would have for its SLO, and the place of each of its nodes from the likeliest down."""
    request = tl.program_id(0).to(tl.int64)
    node = tl.arange(0, SIZE)
    rank = _ranks_of(paths, request, requests, nodes, SIZE)
    place = tl.sum((rank[None, :] > rank[:, None]).to(tl.int32), 1)
    cap = tl.minimum(tl.load(need + request), depth + 1.0) - (1.0 + CLOSE)
    total = tl.sum(tl.zeros([SIZE], tl.float64), 0)
    short = 0
    for at in range(0, nodes):
        total += tl.sum(tl.where((place == at) & (node < nodes), rank, 0.0), 0)
        short += (total < cap).to(tl.int32)
    there = tl.minimum(tl.sum((rank > LEAST).to(tl.int32), 0), n_max)
    tl.store(wanted + request, tl.where(cap > 0.0, tl.minimum(1 + short, there), 0).to(tl.int64))
    tl.store(ranks + request * nodes + node, rank, node < nodes)
    tl.store(order + request * nodes + node, place.to(tl.int64), node < nodes)


@triton.jit(
    do_not_specialize=["requests", "nodes", "room"],
    do_not_specialize_on_alignment=["need"],
)
def _grant(need, order, wanted, ranks, pool, for_slo, granted, requests, nodes, room, SIZE: tl.constexpr,
           REQUESTS: tl.constexpr):
    """What the neediest leave of the room for this request, and its pool for the throughput: what it did not get."""
    request = tl.program_id(0).to(tl.int64)
    other, node = tl.arange(0, REQUESTS), tl.arange(0, SIZE)
    mine = tl.load(need + request)
    theirs = tl.load(need + other, other < requests, float("-inf"))
    first = (other < requests) & ((theirs > mine) | ((theirs == mine) & (other < request)))
    before = tl.sum(tl.load(wanted + other, first, 0), 0)
    got = tl.minimum(tl.maximum(room - before, 0), tl.load(wanted + request))
    at = request * nodes + node
    chosen = tl.load(order + at, node < nodes, nodes) < got
    tl.store(for_slo + at, chosen, node < nodes)
    tl.store(pool + at, tl.where(chosen, 0.0, tl.load(ranks + at, node < nodes, 0.0)), node < nodes)
    tl.store(granted + request, got)


@triton.jit(
    do_not_specialize=["requests", "nodes", "room", "every"],
)
def _spend(pool, for_slo, granted, selected, requests, nodes, room, every, SIZE: tl.constexpr, REQUESTS: tl.constexpr,
           BLOCK: tl.constexpr):
    """The request's nodes among the likeliest of all that fit what is left of the room."""
    request = tl.program_id(0).to(tl.int64)
    other, node = tl.arange(0, REQUESTS), tl.arange(0, SIZE)
    left = room - tl.sum(tl.load(granted + other, other < requests, 0), 0)
    at = request * nodes + node
    mine = tl.load(pool + at, node < nodes, 0.0)
    place = tl.zeros([SIZE], tl.int32)
    for start in range(0, every, BLOCK):
        theirs = tl.load(pool + start + tl.arange(0, BLOCK), start + tl.arange(0, BLOCK) < every, 0.0)
        place += tl.sum((theirs[None, :] > mine[:, None]).to(tl.int32), 1)
    chosen = (mine > LEAST) & (place < left)
    kept = tl.load(for_slo + at, node < nodes, 0) != 0
    tl.store(selected + at, chosen | kept, node < nodes)


@triton.jit(
    do_not_specialize=["requests", "nodes", "width", "sequences", "tile_count", "tile", "table_stride"],
    do_not_specialize_on_alignment=[
        "context", "root", "tables", "tokens", "positions", "slots", "starts", "lens", "tiles", "mask"
    ],
)
def _lay_out(
    selected, parents, drafted, counts, context, root, tables, first, number, parent,
    tokens, positions, slots, starts, lens, tiles, mask,
    requests, nodes, width, table_stride, sequences, tile_count, tile, block_size,
    SIZE: tl.constexpr, REQUESTS: tl.constexpr,
):
    request = tl.program_id(0).to(tl.int64)
    other, node = tl.arange(0, REQUESTS), tl.arange(0, SIZE)
    before = other < request
    others = tl.load(counts + other, before, 0)
    begin, whole = tl.sum(others, 0), tl.load(counts + request)
    candidate = request * nodes + node
    there = tl.load(selected + candidate, node < nodes, 0).to(tl.int32) != 0
    mine = tl.where(there, tl.cumsum(there.to(tl.int32), 0), NOWHERE)
    layer = node // width
    above = (layer - 1) * width + tl.load(parents + candidate, node < nodes, 0).to(tl.int32)
    is_above = (node[None, :] == above[:, None]) & (layer > 0)[:, None]
    over = tl.sum(tl.where(is_above, mine[None, :], 0), 1)
    tl.store(number + candidate, mine.to(tl.int64), node < nodes)
    tl.store(parent + candidate, over.to(tl.int64), node < nodes)

    sees = tl.where(layer == 0, 1, 0).to(tl.int64) | (tl.full([SIZE], 1, tl.int64) << tl.maximum(mine, 0).to(tl.int64))
    for at in range(1, nodes // width):
        inherited = tl.sum(tl.where(is_above, sees[None, :], 0), 1)
        sees = tl.where(layer == at, sees | inherited, sees)

    length = tl.load(context + request)
    table = tables + request * table_stride
    row = begin + mine
    tl.store(tokens + row, tl.load(drafted + candidate, there, 0), there)
    tl.store(positions + row, length + layer + 1, there)
    tl.store(mask + row, sees, there)
    place = length + mine
    tl.store(slots + row, tl.load(table + place // block_size, there, 0) * block_size + place % block_size, there)
    tl.store(tokens + begin, tl.load(root + request))
    tl.store(positions + begin, length)
    tl.store(mask + begin, begin - begin + 1)
    tl.store(slots + begin, tl.load(table + length // block_size) * block_size + length % block_size)

    tl.store(first + request, begin)
    tl.store(starts + request, begin)
    tl.store(lens + request, length)
    tl.store(lens + sequences + request, length + whole)
    tl.store(lens + 2 * sequences + request, length)
    first_tile = tl.sum((others + tile - 1) // tile, 0)
    own, each = (whole + tile - 1) // tile, tl.arange(0, SIZE)
    tl.store(tiles + first_tile + each, tl.zeros([SIZE], tl.int64) + request, each < own)
    tl.store(tiles + tile_count + first_tile + each, (each * tile).to(tl.int64), each < own)


@triton.jit(
    do_not_specialize=["nodes", "depth", "width"],
)
def _accept(first, counts, number, parent, tokens, best, finite, outcome, nodes, depth, width, SIZE: tl.constexpr):
    request = tl.program_id(0).to(tl.int64)
    node = tl.arange(0, SIZE)
    candidate = request * nodes + node
    inside = node < nodes
    begin, whole = tl.load(first + request), tl.load(counts + request)
    mine = tl.load(number + candidate, inside, NOWHERE)
    over = tl.load(parent + candidate, inside, NOWHERE)
    token = tl.load(tokens + candidate, inside, NOWHERE)
    fine = tl.min(tl.load(finite + begin + node, node < whole, 1).to(tl.int32), 0)
    row = outcome + request * (3 + 2 * depth)
    at = begin - begin
    accepted = begin - begin
    alive = 1
    for layer in range(0, depth):
        wanted = tl.load(best + begin + at)
        tl.store(row + 2 + layer, tl.where(alive == 1, wanted, 0))
        fits = (node // width == layer) & inside & (mine != NOWHERE) & (over == at) & (token == wanted) & (alive == 1)
        child = tl.min(tl.where(fits, node, SIZE), 0)
        alive = (child < SIZE).to(tl.int32)
        at = tl.where(alive == 1, tl.sum(tl.where(node == child, mine, 0), 0), at)
        tl.store(row + 3 + depth + layer, tl.where(alive == 1, at, 0))
        accepted += alive
    tl.store(row + 2 + depth, tl.where(alive == 1, tl.load(best + begin + at), 0))
    tl.store(row, accepted)
    tl.store(row + 1, fine.to(tl.int64))


@triton.jit(
    do_not_specialize=["depth", "table_stride"],
    do_not_specialize_on_alignment=["context", "tables"],
)
def _compact(cache, context, tables, outcome, depth, width, layer_stride, table_stride, block_size, COLUMNS: tl.constexpr):
    """One layer of one request: each accepted node moves to a place before it, the first ones first."""
    request, layer = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row = outcome + request * (3 + 2 * depth)
    length, accepted = tl.load(context + request), tl.load(row)
    table, keys = tables + request * table_stride, cache + layer * layer_stride
    column = tl.arange(0, COLUMNS)
    for step in range(0, accepted):
        source, target = length + tl.load(row + 3 + depth + step), length + step + 1
        if source != target:
            source = tl.load(table + source // block_size) * block_size + source % block_size
            target = tl.load(table + target // block_size) * block_size + target % block_size
            for start in range(0, width, COLUMNS):
                moved = tl.load(keys + source * width + start + column, start + column < width)
                tl.store(keys + target * width + start + column, moved, start + column < width)


class TritonTrees:
    """``TreeOps`` (engine.kernels.trees)."""

    def select(self, paths: Tensor, need: Tensor, rule: Selection) -> tuple[Tensor, Tensor]:
        n, depth, width = paths.shape
        nodes, flags = depth * width, paths.new_empty(2, n, depth, width, dtype=torch.bool)
        selected, for_slo = flags.unbind(0)
        ranks, pool = torch.empty_like(paths), torch.empty_like(paths)
        order = torch.empty(n, nodes, dtype=torch.int64, device=paths.device)
        wanted, granted = order.new_empty(2, n).unbind(0)
        size = _size(nodes)
        n_max = rule.n_max if rule.for_slo else 0
        _want[(n,)](paths, need, ranks, order, wanted, n, nodes, depth, n_max, SIZE=size, num_warps=1)
        _grant[(n,)](need, order, wanted, ranks, pool, for_slo, granted, n, nodes, rule.room, SIZE=size,
                     REQUESTS=MOST_REQUESTS, num_warps=1)
        if not rule.for_throughput:
            return for_slo, for_slo
        _spend[(n,)](pool, for_slo, granted, selected, n, nodes, rule.room, n * nodes, SIZE=size, REQUESTS=MOST_REQUESTS,
                     BLOCK=64, num_warps=4)
        return selected, for_slo

    def lay_out(self, selected: Tensor, parents: Tensor, tokens: Tensor, rows: Rows, step: StepInput) -> Laid:
        n, depth, width = selected.shape
        counts = selected.flatten(1).sum(1) + 1
        first, (number, parent) = torch.empty_like(counts), parents.new_empty(2, n, depth, width).unbind(0)
        step.slots.fill_(trees.NOBODY)
        step.tiles[0].fill_(trees.NOBODY)
        _lay_out[(n,)](
            selected, parents.contiguous(), tokens.contiguous(), counts, rows.context, rows.root, rows.tables, first, number,
            parent, step.tokens, step.positions, step.slots, step.starts, step.lens, step.tiles, step.mask,
            n, depth * width, width, rows.tables.stride(0), step.lens.shape[1], step.tiles.shape[1], step.tile,
            step.block_size, SIZE=_size(depth * width), REQUESTS=MOST_REQUESTS, num_warps=1,
        )
        return Laid(first, counts, number, parent)

    def accept(self, laid: Laid, tokens: Tensor, best: Tensor, finite: Tensor) -> Tensor:
        n, depth, width = tokens.shape
        outcome = tokens.new_empty(n, 3 + 2 * depth)
        _accept[(n,)](
            laid.first, laid.counts, laid.number, laid.parent, tokens.contiguous(), best, finite, outcome, depth * width,
            depth, width, SIZE=_size(depth * width), num_warps=1,
        )
        return outcome

    def compact(self, kv: PagedKV, rows: Rows, outcome: Tensor, depth: int) -> None:
        _compact[(len(outcome), len(kv.data))](
            kv.data, rows.context, rows.tables, outcome, depth, kv.data.shape[2], kv.data.stride(0), rows.tables.stride(0),
            kv.block_size, COLUMNS=COLUMNS, num_warps=4,
        )


def _size(nodes: int) -> int:
    """Room for the candidates of a request and its root, of few sizes, since each is compiled."""
    return max(FEWEST_NODES, triton.next_power_of_2(nodes + 1))
