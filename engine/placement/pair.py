"""Two replicas whose requests are to be shared out anew, as dLoRA's ILP sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOVE_S = 0.05
"""What the ILP takes a move to cost."""


@dataclass(frozen=True)
class Pair:
    """n requests and k adapters on two replicas.

    ``adapter[i]`` (0..k-1), ``source[i]`` (0 or 1) and ``blocks[i]`` of request i; ``run_s[a]`` seconds that a request of
    adapter a runs; ``capacity[j]`` adapters and ``pool[j]`` KV blocks fit replica j; ``blocks_per_s`` can be swapped.
    """

    adapter: NDArray[np.int64]
    source: NDArray[np.int64]
    blocks: NDArray[np.int64]
    run_s: NDArray[np.float64]
    capacity: tuple[int, int]
    pool: tuple[int, int]
    blocks_per_s: float

    def finish_s(self, target: NDArray[np.int64]) -> float:
        """T: when the later of the two would be done with ``target[i]`` serving request i."""
        return max(self._finish_s(target, replica) for replica in (0, 1))

    def _finish_s(self, target: NDArray[np.int64], replica: int) -> float:
        there = target == replica
        moved = int((there & (self.source != replica)).sum())
        over = max(int(self.blocks[there].sum()) - self.pool[replica], 0)
        return float(self.run_s[self.adapter[there]].sum()) + MOVE_S * moved + over / self.blocks_per_s

    def fits(self, target: NDArray[np.int64]) -> bool:
        """Whether no replica needs more adapters than it has room for."""
        return all(len(np.unique(self.adapter[target == replica])) <= self.capacity[replica] for replica in (0, 1))


def greedy(pair: Pair, target: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Move the request that brings T down most until none does: where a solver has no answer, and after rounding one.

    Requests of one adapter and source are alike but for their blocks; the last of each are tried.
    """
    best = pair.source.copy() if target is None else target.copy()
    finish_s = pair.finish_s(best)
    for _ in range(2 * len(best)):
        trials = [_moved(best, row) for row in _candidates(pair, best)]
        trials = [trial for trial in trials if pair.fits(trial)]
        times = [pair.finish_s(trial) for trial in trials]
        if not times or min(times) >= finish_s - 1e-9:
            return best
        finish_s = min(times)
        best = trials[times.index(finish_s)]
    return best


def _candidates(pair: Pair, target: NDArray[np.int64]) -> Sequence[int]:
    """One request of each adapter, replica and source, the last."""
    last = {(a, j, s): row for row, (a, j, s) in enumerate(zip(pair.adapter, target, pair.source, strict=True))}
    return sorted(last.values())


def _moved(target: NDArray[np.int64], row: int) -> NDArray[np.int64]:
    other = target.copy()
    other[row] = 1 - other[row]
    return other
