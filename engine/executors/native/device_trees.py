"""Trees that are selected, verified and accepted on the device: the host hears of them once, at the end of a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.beams import DeviceBeam, OnItsWay
from engine.executors.native.drafting import Drafts
from engine.executors.native.graphs import MOST_SEQUENCES, MOST_TOKENS, Bucket, uneven_bucket
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.sequences import Sequences
from engine.executors.native.timing import ACCEPT, SELECT, VERIFY, Times
from engine.executors.native.verification import Verified
from engine.kernels.trees import Rows, StepInput
from engine.plan import DraftShape, Selection, TokenTrees

Ints = NDArray[np.int64]
MOST_NODES = 63
INPUT = ("tokens", "positions", "slots", "starts", "lens", "tiles", "mask")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step: its trees, what the target accepts of them, and by row whether its logits were numbers."""

    trees: TokenTrees
    verdict: Verified
    finite: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification that the device was told, of candidates [n, d, w] of this ``size``."""

    numbers: OnItsWay
    size: tuple[int, ...]
    rule: Selection | None

    def read(self) -> Outcome:
        """Waits for it."""
        numbers, (n, depth, _) = self.numbers.read(), self.size
        most = 5 * int(np.prod(self.size))
        bits, parents, tokens, selected, for_slo = numbers[:most].reshape(5, *self.size)
        found = numbers[most:].reshape(n, -1)
        drafts = Drafts(bits.view(np.float64), parents, tokens, {})
        reasons = (None, None) if self.rule is None else (self.rule.need, for_slo.astype(bool))
        verdict = Verified(found[:, 0], found[:, 3 + depth :], found[:, 2 : 3 + depth])
        return Outcome(TokenTrees(drafts, selected.astype(bool), *reasons), verdict, found[:, 1].astype(bool))


class DeviceTrees:
    """Verification by one target, whose forward is replayed as a CUDA graph over as many tokens as the shape allows."""

    def __init__(self, target: ModelRunner, group: int, sequences: Sequences):
        self._target, self._group, self._sequences = target, group, sequences

    def take(self, n: int, shape: DraftShape, rule: Selection | None) -> bool:
        """Whether ``verify`` can do it for ``n`` sequences."""
        graphs, nodes = self._target.graphs, shape.depth * shape.width
        if graphs is None or not (shape.whole or rule is not None) or nodes >= MOST_NODES:
            return False
        return shape.max_tokens <= MOST_TOKENS and n <= MOST_SEQUENCES and graphs.has(self._bucket(n, shape))

    def _bucket(self, n: int, shape: DraftShape) -> Bucket:
        return uneven_bucket(n, shape.max_tokens, 1 + shape.depth * shape.width, self._group, 1, last_only=False)

    def warm_up(self) -> None:
        """Compile what is between the forwards, for trees of every size."""
        kv, ops = self._target.kv, self._target.kernels.trees
        one = torch.zeros(1, dtype=torch.int64, device=kv.device)
        rows, every = Rows(one, one, one[:, None].expand(1, MOST_NODES)), Selection(np.zeros(1), 1, 1, True, True)
        for nodes in (7, 15, 31, MOST_NODES - 1):
            paths = torch.zeros(1, nodes, 1, dtype=torch.float64, device=kv.device)
            parents, room = paths.long(), one.new_zeros(nodes + 1)
            lens, tiles = room.new_zeros(3, 1), room.new_zeros(2, nodes)
            step = StepInput(room, room, room.clone(), room, lens, tiles, room[:, None], tile=4, block_size=1)
            selected, _ = ops.select(paths, paths[:, 0, 0], every)
            laid = ops.lay_out(selected, parents, parents, rows, step)
            outcome = ops.accept(laid, parents, room, room == 0)
            ops.compact(kv, rows, torch.zeros_like(outcome), nodes)

    def verify(
        self, rows: Ints, context: Ints, beam: DeviceBeam, shape: DraftShape, rule: Selection | None, times: Times
    ) -> Verification:
        """``rule`` decides what of ``beam`` is verified after the roots at positions ``context``; None: everything."""
        graphs, kernels, sequences = self._target.graphs, self._target.kernels, self._sequences
        assert graphs is not None
        most = context + 1 + shape.depth * shape.width
        sequences.reserve(rows, most)
        paths, parents, tokens = beam.whole()
        need = np.zeros(len(rows)) if rule is None else rule.need
        sent = self._send(np.stack([context, sequences.tokens[rows, context], need.view(np.int64)]))
        if rule is None:
            selected = for_slo = torch.ones_like(paths, dtype=torch.bool)
        else:
            selected, for_slo = kernels.trees.select(paths, sent[2].view(torch.float64), rule)
        times.mark(SELECT)
        bucket, laid, known = self._bucket(len(rows), shape), [], []

        def fill(there: dict[str, Tensor], tables: Tensor) -> None:
            step = StepInput(**{name: there[name] for name in INPUT}, tile=bucket.tile, block_size=sequences.block_size)
            known.append(Rows(sent[0], sent[1], tables))
            laid.append(kernels.trees.lay_out(selected, parents, tokens, known[0], step))

        logits = graphs.run_on_device(bucket, sequences.tables(rows, int(most.max())), fill)
        times.mark(VERIFY)
        best, likeliest = logits.max(-1)
        accepted = kernels.trees.accept(laid[0], tokens, likeliest, best.isfinite())
        kernels.trees.compact(self._target.kv, known[0], accepted, shape.depth)
        candidates = torch.stack([paths.view(torch.int64), parents, tokens, selected.long(), for_slo.long()])
        everything = torch.cat([candidates.flatten(), accepted.flatten()])
        times.mark(ACCEPT)
        return Verification(OnItsWay(everything, self._target.wait), tuple(paths.shape), rule)

    def _send(self, numbers: Ints) -> Tensor:
        host = torch.from_numpy(numbers)
        device = self._target.kv.device
        return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host
