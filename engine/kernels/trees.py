"""What happens to draft tokens between the draft and the next step, on their device: selection, layout, acceptance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.kernels.paged_kv import PagedKV
from engine.plan import Selection

NOWHERE, NOBODY = -1, -1
APART, CLOSE, LEAST = 1e-13, 1e-9, 1e-200


@dataclass(frozen=True, slots=True)
class Rows:
    """Of n sequences: ``context`` [n] tokens in the cache, ``root`` [n] the token that comes after them, and the block
    ``tables`` [n or more, blocks]."""

    context: Tensor
    root: Tensor
    tables: Tensor


@dataclass(frozen=True, slots=True)
class StepInput:
    """Where a verification forward of t tokens in b sequences reads its input (see AttentionMetadata); its masks have one
    word."""

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    starts: Tensor
    lens: Tensor
    tiles: Tensor
    mask: Tensor
    tile: int
    block_size: int


@dataclass(frozen=True, slots=True)
class Laid:
    """Trees as they stand in a forward: the ``first`` node [n] of each, ``counts`` [n] of nodes with their roots, and of each
    candidate [n, d, w] its ``number`` in the tree, NOWHERE where it is not verified, and its ``parent``'s number."""

    first: Tensor
    counts: Tensor
    number: Tensor
    parent: Tensor


class TreeOps(Protocol):
    """Candidates are paths, parents and tokens [n, d, w] (see engine.plan.Candidates); a tree has at most 63 nodes."""

    def select(self, paths: Tensor, need: Tensor, rule: Selection) -> tuple[Tensor, Tensor]:
        """The nodes to verify and, of them, those for the SLO [n, d, w], by ``rule``, whose need is ``need`` [n] here: those
        that engine.speculation.mechanics.selection gives on the host."""

    def lay_out(self, selected: Tensor, parents: Tensor, tokens: Tensor, rows: Rows, step: StepInput) -> Laid:
        """Write the forward that verifies the selected nodes, each sequence's root before them, into ``step``."""

    def accept(self, laid: Laid, tokens: Tensor, best: Tensor, finite: Tensor) -> Tensor:
        """Walk down each tree while a child is the target's likeliest token, ``best`` [t] after each node: [n, 3 + 2 d].

        A row: accepted tokens, whether the logits of all its nodes are ``finite`` [t], the accepted tokens and, after them,
        the target's own next one in d + 1 places, then the numbers of the accepted nodes in d places; 0 where there is none.
        """

    def compact(self, kv: PagedKV, rows: Rows, outcome: Tensor, depth: int) -> None:
        """Move keys and values of the accepted nodes to where the sequences go on."""


class ReferenceTrees:
    """The same in plain torch."""

    def select(self, paths: Tensor, need: Tensor, rule: Selection) -> tuple[Tensor, Tensor]:
        n, depth, width = paths.shape
        nodes = torch.arange(depth * width, device=paths.device)
        place = (nodes * n + torch.arange(n, device=paths.device)[:, None]).double()
        ranks = paths.flatten(1) * (1.0 - APART * place)
        for_slo = torch.zeros_like(ranks, dtype=torch.bool)
        if rule.for_slo:
            ordered, likeliest = ranks.sort(dim=1, descending=True)
            capped = need.clamp(max=depth + 1.0) - (1.0 + CLOSE)
            there = (ordered > LEAST).sum(1).clamp(max=rule.n_max)
            wanted = torch.minimum(1 + (ordered.cumsum(1) < capped[:, None]).sum(1), there).where(capped > 0, 0)
            neediest = need.sort(descending=True, stable=True).indices
            asked = wanted[neediest]
            left = (rule.room - asked.cumsum(0) + asked).clamp(min=0)
            granted = torch.zeros_like(wanted).scatter(0, neediest, torch.minimum(left, asked))
            for_slo = for_slo.scatter(1, likeliest, nodes < granted[:, None])
        selected = for_slo
        if rule.for_throughput:
            pool = torch.where(for_slo, 0.0, ranks).flatten()
            place = torch.empty(pool.numel(), dtype=torch.int64, device=pool.device)
            place[pool.sort(descending=True).indices] = torch.arange(pool.numel(), device=pool.device)
            selected = for_slo | ((place < rule.room - for_slo.sum()) & (pool > LEAST)).view_as(for_slo)
        return selected.view_as(paths), for_slo.view_as(paths)

    def lay_out(self, selected: Tensor, parents: Tensor, tokens: Tensor, rows: Rows, step: StepInput) -> Laid:
        n, depth, width = selected.shape
        device, flat = selected.device, selected.flatten(1)
        counts = flat.sum(1) + 1
        first = counts.cumsum(0) - counts
        number = torch.where(flat, flat.cumsum(1), NOWHERE).view_as(parents)
        parent = torch.zeros_like(parents)
        parent[:, 1:] = number[:, :-1].gather(2, parents[:, 1:])
        row = torch.repeat_interleave(torch.arange(n, device=device), counts)
        whole = len(row)
        step.tokens[first], step.positions[first] = rows.root, rows.context
        step.mask[first, 0] = 1
        for layer in range(depth):
            for column in range(width):
                there = selected[:, layer, column]
                at = (first + number[:, layer, column])[there]
                above = (first + parent[:, layer, column])[there]
                step.tokens[at], step.positions[at] = tokens[there, layer, column], rows.context[there] + layer + 1
                step.mask[at, 0] = step.mask[above, 0] | (torch.ones_like(at) << number[there, layer, column])
        place = rows.context[row] + torch.arange(whole, device=device) - first[row]
        step.slots.fill_(NOBODY)
        step.slots[:whole] = _slots(rows.tables[row], place[:, None], step.block_size)[:, 0]
        step.starts[:n] = first
        step.lens[:, :n] = torch.stack([rows.context, rows.context + counts, rows.context])
        tiles = (counts + step.tile - 1) // step.tile
        of = torch.repeat_interleave(torch.arange(n, device=device), tiles)
        step.tiles[0].fill_(NOBODY)
        step.tiles[0, : len(of)] = of
        step.tiles[1, : len(of)] = step.tile * (torch.arange(len(of), device=device) - (tiles.cumsum(0) - tiles)[of])
        return Laid(first, counts, number, parent)

    def accept(self, laid: Laid, tokens: Tensor, best: Tensor, finite: Tensor) -> Tensor:
        n, depth, width = tokens.shape
        outcome = torch.zeros(n, 3 + 2 * depth, dtype=torch.int64, device=tokens.device)
        nodes = torch.arange(depth * width + 1, device=tokens.device)
        inside = nodes < laid.counts[:, None]
        outcome[:, 1] = (finite[torch.where(inside, laid.first[:, None] + nodes, 0)] | ~inside).all(1)
        at, alive = torch.zeros_like(laid.first), torch.ones_like(laid.first, dtype=torch.bool)
        for layer in range(depth):
            wanted = best[laid.first + at]
            outcome[:, 2 + layer] = torch.where(alive, wanted, 0)
            fits = (laid.number[:, layer] != NOWHERE) & (laid.parent[:, layer] == at[:, None])
            fits &= (tokens[:, layer] == wanted[:, None]) & alive[:, None]
            alive = fits.any(1)
            child = laid.number[:, layer].gather(1, fits.int().argmax(1, keepdim=True))[:, 0]
            at = torch.where(alive, child, at)
            outcome[:, 3 + depth + layer] = torch.where(alive, at, 0)
            outcome[:, 0] += alive
        outcome[:, 2 + depth] = torch.where(alive, best[laid.first + at], 0)
        return outcome

    def compact(self, kv: PagedKV, rows: Rows, outcome: Tensor, depth: int) -> None:
        layer = torch.arange(depth, device=outcome.device)
        moved = layer < outcome[:, :1]
        target = rows.context[:, None] + torch.where(moved, layer + 1, 0)
        source = rows.context[:, None] + torch.where(moved, outcome[:, 3 + depth :], 0)
        sources, targets = (_slots(rows.tables, place, kv.block_size).flatten() for place in (source, target))
        kv.data.index_copy_(1, targets, kv.data.index_select(1, sources))


def _slots(tables: Tensor, places: Tensor, block_size: int) -> Tensor:
    """Of ``places`` [n, m] in the sequences of the first n tables."""
    return tables[: len(places)].gather(1, places // block_size) * block_size + places % block_size
