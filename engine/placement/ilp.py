"""dLoRA's integer program of two replicas, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from engine.placement.pair import MOVE_S, Pair, greedy

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
FEW = 24
"""Up to so many requests each is a whole number of its own; beyond, those of one adapter and source are one that is
rounded."""


@dataclass(frozen=True)
class Kinds:
    """Requests that the program does not tell apart: row g has ``count[g]`` of ``adapter[g]`` at ``source[g]``, of
    ``blocks[g]`` each on average. ``of[i]`` is the kind of request i."""

    adapter: Ints
    source: Ints
    blocks: Floats
    count: Ints
    of: Ints

    @classmethod
    def in_pair(cls, pair: Pair) -> Kinds:
        """Each request for itself where they are few."""
        if len(pair.adapter) <= FEW:
            rows = np.arange(len(pair.adapter))
            return cls(pair.adapter, pair.source, pair.blocks.astype(float), np.ones_like(rows), rows)
        keys, of, count = np.unique(2 * pair.adapter + pair.source, return_inverse=True, return_counts=True)
        blocks = np.bincount(of, weights=pair.blocks) / count
        return cls(keys // 2, keys % 2, blocks, count, of)


def solve(pair: Pair, nodes: int, seconds: float | None = None) -> Ints:
    """The replica (0 or 1) of each request that lets both be done soonest.

    The search is cut at ``nodes`` nodes, which gives the same answer on any machine, and after ``seconds`` where they are
    given. ``greedy`` repairs what it finds, whose requests of one kind have the same number of blocks, and answers alone
    where it has found nothing by then or what does not fit.
    """
    found = _solved(pair, nodes, seconds)
    if found is None or not pair.fits(found):
        return greedy(pair)
    best = greedy(pair, found)
    return best if pair.finish_s(best) <= pair.finish_s(pair.source) else pair.source


def _solved(pair: Pair, nodes: int, seconds: float | None) -> Ints | None:
    kinds = Kinds.in_pair(pair)
    g, k = len(kinds.count), len(pair.run_s)
    most = np.concatenate([np.ones(2 * g + 2 * k), np.full(3, np.inf)])
    few = len(pair.adapter) <= FEW
    whole = np.concatenate([np.full(2 * g, int(few)), np.ones(2 * k, int), np.zeros(3, int)])
    cost = np.zeros(2 * g + 2 * k + 3)
    cost[-1] = 1.0
    options: dict[str, float] = {"node_limit": nodes, "mip_rel_gap": 1e-3}
    if seconds is not None:
        options["time_limit"] = seconds
    bounds = Bounds(np.zeros_like(cost), most)
    answer = milp(cost, integrality=whole, bounds=bounds, constraints=_constraints(pair, kinds), options=options)
    return None if answer.x is None else _moved(pair, kinds, answer.x[: 2 * g].reshape(g, 2))


def _constraints(pair: Pair, kinds: Kinds) -> LinearConstraint:
    """Over x[g, j] the share of kind g at j, y[a, j] whether adapter a is there, z[j] the time of swapping, and T, both by
    the time that all requests take one after another.

    Rows: every request is served; an adapter is there for its requests; adapters fit; z swaps what is over; T is late enough
    for both.
    """
    g, k = len(kinds.count), len(pair.run_s)
    y, z, t = 2 * g, 2 * g + 2 * k, 2 * g + 2 * k + 2
    both, x = np.arange(2), np.arange(2 * g)
    kind, on = x // 2, x % 2
    there, presence, fits, swaps, late = g, np.arange(2 * k), g + 2 * k, g + 2 * k + 2, g + 2 * k + 4
    rows = (kind, there + 2 * kinds.adapter[kind] + on, there + presence, fits + presence % 2, swaps + on, swaps + both,
            late + on, late + both, late + both)
    columns = (x, x, y + presence, y + presence, x, z + both, x, z + both, np.full(2, t))
    count = kinds.count[kind]
    unit_s = float((kinds.count * pair.run_s[kinds.adapter]).sum())
    run = count * (pair.run_s[kinds.adapter[kind]] + MOVE_S * (kinds.source[kind] != on)) / unit_s
    swapped = pair.blocks_per_s * unit_s
    requests = np.bincount(kinds.adapter, weights=kinds.count, minlength=k)
    values = (np.ones(2 * g), -count / requests[kinds.adapter[kind]], np.ones(2 * k), -np.ones(2 * k),
              -count * kinds.blocks[kind] / swapped, np.ones(2), -run, -np.ones(2), np.ones(2))
    least = np.concatenate([
        np.ones(g), np.zeros(2 * k), -np.array(pair.capacity, float), -np.array(pair.pool) / swapped, np.zeros(2)
    ])
    cells = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return LinearConstraint(coo_array(cells, shape=(len(least), t + 1)).tocsr(), lb=least)


def _moved(pair: Pair, kinds: Kinds, there: Floats) -> Ints:
    """Of each kind the share elsewhere that ``there`` says, in whole requests, the last of them."""
    target = pair.source.copy()
    for kind, source in enumerate(kinds.source.tolist()):
        rows = np.flatnonzero(kinds.of == kind)
        away = min(round(len(rows) * float(there[kind, 1 - source])), len(rows))
        target[rows[len(rows) - away :]] = 1 - source
    return target
