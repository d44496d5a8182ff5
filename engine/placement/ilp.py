"""dLoRA's integer program of two replicas, solved by HiGHS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from engine.placement.pair import MOVE_S, Pair, greedy

WHOLE = 24
"""Up to so many requests their shares are whole numbers; beyond, they are rounded."""


def solve(pair: Pair, nodes: int, seconds: float | None = None) -> NDArray[np.int64]:
    """The replica (0 or 1) of each request that lets both be done soonest.

    The search is cut at ``nodes`` nodes, which gives the same answer on any machine, and after ``seconds`` where they are
    given. Where it has found nothing by then, or what it found does not hold after rounding, ``greedy`` answers.
    """
    found = _solved(pair, nodes, seconds)
    if found is None or not pair.fits(found):
        return greedy(pair)
    best = greedy(pair, found)
    return best if pair.finish_s(best) <= pair.finish_s(pair.source) else pair.source


def _solved(pair: Pair, nodes: int, seconds: float | None) -> NDArray[np.int64] | None:
    n, k = len(pair.adapter), len(pair.run_s)
    whole = n <= WHOLE
    bounds, integrality = _variables(n, k, whole)
    cost = np.zeros(2 * n + 2 * k + 3)
    cost[-1] = 1.0
    options: dict[str, float] = {"node_limit": nodes, "mip_rel_gap": 1e-3}
    if seconds is not None:
        options["time_limit"] = seconds
    answer = milp(cost, integrality=integrality, bounds=bounds, constraints=_constraints(pair), options=options)
    return None if answer.x is None else _rounded(pair, answer.x[: 2 * n].reshape(n, 2))


def _variables(n: int, k: int, whole: bool) -> tuple[Bounds, NDArray[np.int64]]:
    """In this order: share x[i, j] of request i at j, presence y[a, j] of adapter a, swapping z[j], T."""
    upper = np.concatenate([np.ones(2 * n + 2 * k), np.full(3, np.inf)])
    integrality = np.concatenate([np.full(2 * n, int(whole)), np.ones(2 * k, int), np.zeros(3, int)])
    return Bounds(np.zeros_like(upper), upper), integrality


def _constraints(pair: Pair) -> LinearConstraint:
    """Rows: every request is served; an adapter is there for its requests; adapters fit; z swaps what is over; T is late
    enough for both."""
    n, k = len(pair.adapter), len(pair.run_s)
    x, y, z, t = 0, 2 * n, 2 * n + 2 * k, 2 * n + 2 * k + 2
    each, both = np.arange(n), np.arange(2)
    on = np.tile(both, n)
    request = np.repeat(each, 2)
    rows = np.concatenate([
        request, n + 2 * pair.adapter[request] + on, n + np.arange(2 * k), n + 2 * k + np.tile(both, k),
        n + 2 * k + 2 + on, n + 2 * k + 2 + both, n + 2 * k + 4 + on, n + 2 * k + 4 + both, n + 2 * k + 4 + both,
    ])
    columns = np.concatenate([
        x + 2 * request + on, x + 2 * request + on, y + np.arange(2 * k), y + np.arange(2 * k), x + 2 * request + on, z + both,
        x + 2 * request + on, z + both, np.full(2, t),
    ])
    requests = np.bincount(pair.adapter, minlength=k)
    run_s = pair.run_s[pair.adapter[request]] + MOVE_S * (pair.source[request] != on)
    values = np.concatenate([
        np.ones(2 * n), -np.ones(2 * n), np.repeat(requests, 2), -np.ones(2 * k), -pair.blocks[request] / pair.blocks_per_s,
        np.ones(2), -run_s, -np.ones(2), np.ones(2),
    ])
    least = np.concatenate([
        np.ones(n), np.zeros(2 * k), -np.array(pair.capacity, float), -np.array(pair.pool) / pair.blocks_per_s, np.zeros(2)
    ])
    matrix = coo_array((values, (rows, columns)), shape=(len(least), t + 1)).tocsr()
    return LinearConstraint(matrix, lb=least)


def _rounded(pair: Pair, share: NDArray[np.float64]) -> NDArray[np.int64]:
    """As many requests of an adapter and source elsewhere as their shares there add up to, those with the largest first;
    rounding each for itself would move none where all are half there."""
    target = pair.source.copy()
    away = share[np.arange(len(target)), 1 - pair.source]
    for adapter in np.unique(pair.adapter):
        for source in (0, 1):
            rows = np.flatnonzero((pair.adapter == adapter) & (pair.source == source))
            most = rows[np.argsort(-away[rows], kind="stable")][: round(float(away[rows].sum()))]
            target[most] = 1 - source
    return target
