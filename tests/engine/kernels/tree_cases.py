"""What kernels on trees have to give, by what the host computes of the same."""

from __future__ import annotations

import numpy as np
import torch

from engine.executors.native.composition import places_in
from engine.executors.native.trees import lay_out
from engine.executors.native.verification import verify_greedily
from engine.kernels.metadata import tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.kernels.trees import Laid, Rows, StepInput, TreeOps
from engine.plan import TokenTrees
from engine.speculation.mechanics.selection import distinct, select_for_slo, select_for_throughput
from tests.engine.kernels.candidates import Drawn

BLOCK, LONGEST, NOBODY = 4, 64, -1


def selected_by(drawn: Drawn) -> TokenTrees:
    """What the host selects by the same rule."""
    rule, ranks = drawn.rule, distinct(drawn.candidates.probability)
    for_slo = select_for_slo(ranks, rule.need, rule.room, rule.n_max) if rule.for_slo else np.zeros(ranks.shape, bool)
    rest = select_for_throughput(ranks, for_slo, rule.room - int(for_slo.sum())) if rule.for_throughput else for_slo
    return TokenTrees(drawn.candidates, for_slo | rest, rule.need, for_slo)


def assert_selects(ops: TreeOps, drawn: Drawn, device: str) -> None:
    want, (paths, *_, need) = selected_by(drawn), drawn.tensors(device)
    selected, for_slo = ops.select(paths, need, drawn.rule)
    np.testing.assert_array_equal(selected.cpu().numpy(), want.selected)
    np.testing.assert_array_equal(for_slo.cpu().numpy(), want.for_slo)


class Case:
    """Sequences of random length in a cache, whose tables are shuffled, with the host's selection of the drafts."""

    def __init__(self, drawn: Drawn, seed: int, device: str):
        self.rng, self.device = np.random.default_rng(seed), device
        self.trees, self.tokens = selected_by(drawn), drawn.tokens
        self.nodes = lay_out(self.trees, drawn.tokens)
        n, depth, width = drawn.tokens.shape
        self.context, self.root = self.rng.integers(0, LONGEST, n), self.rng.integers(0, 6, n)
        blocks = -(-(LONGEST + depth * width + 1) // BLOCK)
        self.tables = 1 + self.rng.permutation(n * blocks).reshape(n, blocks)
        self.blocks = 1 + n * blocks
        self.paths, self.parents, self.drafted, self.need = drawn.tensors(device)
        self.selected = torch.from_numpy(self.trees.selected).to(device)
        on = (torch.from_numpy(array).to(device) for array in (self.context, self.root, self.tables))
        self.rows = Rows(*on)

    @property
    def places(self) -> np.ndarray:
        """Of each node in its sequence's cache, trees one after another."""
        return np.repeat(self.context, self.nodes.counts) + places_in(self.nodes.counts)

    def slots(self, row: np.ndarray, place: np.ndarray) -> np.ndarray:
        return np.asarray(self.tables[row, place // BLOCK] * BLOCK + place % BLOCK)

    def step(self, tile: int) -> StepInput:
        """Room for the step, full of what was there before."""
        whole, n = int(self.nodes.counts.sum()) + 3, len(self.context)
        old = {"tokens": (whole,), "positions": (whole,), "slots": (whole,), "starts": (n + 1,), "lens": (3, n + 1),
               "tiles": (2, whole + n), "mask": (whole, 1)}
        return StepInput(**{name: torch.full(shape, 77, device=self.device) for name, shape in old.items()}, tile=tile,
                         block_size=BLOCK)

    def laid(self) -> Laid:
        """As the host lays the trees out."""
        counts = self.nodes.counts
        arrays = (np.cumsum(counts) - counts, counts, self.nodes.number, self.nodes.parent)
        return Laid(*(torch.from_numpy(np.asarray(array)).to(self.device) for array in arrays))


def assert_lays_out(ops: TreeOps, case: Case, tile: int) -> None:
    step, nodes = case.step(tile), case.nodes
    laid = ops.lay_out(case.selected, case.parents, case.drafted, case.rows, step)
    n, whole, begin = len(nodes.counts), int(nodes.counts.sum()), np.cumsum(nodes.counts) - nodes.counts
    there = nodes.number >= 0
    np.testing.assert_array_equal(laid.number.cpu().numpy(), nodes.number)
    np.testing.assert_array_equal(laid.parent.cpu().numpy()[there], nodes.parent[there])
    tokens, depth = np.zeros((2, whole), np.int64)
    tokens[begin] = case.root
    tokens[begin[nodes.row] + nodes.place], depth[begin[nodes.row] + nodes.place] = nodes.token, nodes.depth
    np.testing.assert_array_equal(step.tokens.cpu().numpy()[:whole], tokens)
    np.testing.assert_array_equal(step.positions.cpu().numpy()[:whole], np.repeat(case.context, nodes.counts) + depth)
    np.testing.assert_array_equal(step.mask.cpu().numpy()[:whole], nodes.ancestors())
    slots = case.slots(np.repeat(np.arange(n), nodes.counts), case.places)
    np.testing.assert_array_equal(step.slots.cpu().numpy(), [*slots, NOBODY, NOBODY, NOBODY])
    np.testing.assert_array_equal(step.starts.cpu().numpy()[:n], begin)
    lens = [case.context, case.context + nodes.counts, case.context]
    np.testing.assert_array_equal(step.lens.cpu().numpy()[:, :n], lens)
    tiles = tiles_of(nodes.counts, tile)
    np.testing.assert_array_equal(step.tiles.cpu().numpy()[:, : tiles.shape[1]], tiles)
    assert (step.tiles[0, tiles.shape[1] :] == NOBODY).all()


def assert_accepts(ops: TreeOps, case: Case) -> None:
    n, depth, _ = case.tokens.shape
    counts, longest = case.nodes.counts, case.nodes.longest
    best, finite = case.rng.integers(0, 6, int(counts.sum())), case.rng.random(int(counts.sum())) > 0.1
    begin = np.cumsum(counts) - counts
    after = np.zeros((n, longest), np.int64)
    after[np.repeat(np.arange(n), counts), places_in(counts)] = best
    want = verify_greedily(case.nodes, case.tokens, after)
    on = (torch.from_numpy(array).to(case.device) for array in (case.tokens, best, finite))
    found = ops.accept(case.laid(), *on).cpu().numpy()
    np.testing.assert_array_equal(found[:, 0], want.accepted)
    np.testing.assert_array_equal(found[:, 1], np.logical_and.reduceat(finite, begin))
    np.testing.assert_array_equal(found[:, 2 : 3 + depth], want.tokens)
    walked = np.arange(depth) < want.accepted[:, None]
    np.testing.assert_array_equal(found[:, 3 + depth :], np.where(walked, want.path, 0))


def assert_compacts(ops: TreeOps, case: Case) -> None:
    n, depth, _ = case.tokens.shape
    kv = PagedKV(_Shape(), case.blocks, BLOCK, torch.float32, torch.device(case.device))
    kv.data.copy_(torch.from_numpy(case.rng.random(tuple(kv.data.shape))))
    want, outcome = kv.data.cpu().numpy().copy(), np.zeros((n, 3 + 2 * depth), np.int64)
    for row in range(n):
        accepted = int(case.rng.integers(0, depth + 1))
        path = np.sort(case.rng.choice(np.arange(1, depth * 4 + 1), accepted, replace=False))
        path = np.minimum(path, case.tokens[0].size)[: len(np.unique(np.minimum(path, case.tokens[0].size)))]
        outcome[row, 0], outcome[row, 3 + depth : 3 + depth + len(path)] = len(path), path
        moved = want[:, case.slots(np.full(len(path), row), case.context[row] + path)].copy()
        want[:, case.slots(np.full(len(path), row), case.context[row] + 1 + np.arange(len(path)))] = moved
    ops.compact(kv, case.rows, torch.from_numpy(outcome).to(case.device), depth)
    np.testing.assert_array_equal(kv.data.cpu().numpy(), want)


class _Shape:
    layers, kv_heads, head_size = 2, 1, 3
