"""Which candidates to verify: AdaServe's SLO-customised and throughput-optimised selection (Algorithm 2), and equal shares."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
APART, CLOSE, LEAST = 1e-13, 1e-9, 1e-200


def distinct(probability: Floats) -> Floats:
    """Path probabilities [n, d, w] as ranks to select by: no two alike but 0, and a child below its parent.

    Equal ones are told apart by 1e-13 of themselves for each place, first layers first, then requests. Nodes below 1e-200, of
    which this cannot be said, are never selected.
    """
    return probability * _weights(probability.shape)


@lru_cache(maxsize=4096)
def _weights(shape: tuple[int, int, int]) -> Floats:
    n, depth, width = shape
    place = np.arange(depth * width).reshape(depth, width) * n + np.arange(n)[:, None, None]
    return np.asarray(1.0 - APART * place)


def select_for_slo(
    ranks: Floats, need: Floats, room: int, n_max: int, root: float = 1.0, neediest_first: bool = True
) -> Bools:
    """Step 2: the neediest request first takes its likeliest nodes until their sum reaches its need, capped at d + 1.

    ``ranks[n, d, w]`` from ``distinct``, ``need[n]`` is A(r), ``room`` nodes for all, ``n_max`` for one; ``root`` is what the
    root itself counts towards the need.
    """
    n = need.size
    flat = ranks.reshape(n, -1)
    likeliest = np.sort(flat, axis=1)[:, ::-1]
    capped = np.minimum(need, ranks.shape[1] + 1) - (root + CLOSE)
    short = np.add.accumulate(likeliest, axis=1) < capped[:, None]
    there = np.minimum((likeliest > LEAST).sum(axis=1), n_max)
    wanted = np.where(capped > 0, np.minimum(1 + short.sum(axis=1), there), 0)
    if int(wanted.sum()) > room:
        order = np.argsort(-need if neediest_first else need, kind="stable")
        asked = wanted[order]
        wanted[order] = np.clip(room - np.cumsum(asked) + asked, 0, asked)
    return _first_of_each(flat, likeliest, wanted).reshape(ranks.shape)


def select_equally(ranks: Floats, selected: Bools, room: int) -> Bools:
    """Of what is not selected yet, as many of each request's likeliest nodes as the ``room`` has for each."""
    free = np.where(selected, 0.0, ranks).reshape(len(ranks), -1)
    likeliest = np.sort(free, axis=1)[:, ::-1]
    share = np.full(len(ranks), min(room // max(len(ranks), 1), free.shape[1]))
    return _first_of_each(free, likeliest, share).reshape(ranks.shape)


def select_for_throughput(ranks: Floats, selected: Bools, room: int) -> Bools:
    """Step 3: the ``room`` likeliest nodes of all requests that are not selected yet."""
    pool = np.where(selected, 0.0, ranks)
    if room <= 0:
        return np.zeros(ranks.shape, bool)
    if room >= pool.size:
        return pool > LEAST
    least = np.partition(pool.ravel(), pool.size - room)[pool.size - room]
    return pool >= max(least, LEAST)


def _first_of_each(flat: Floats, likeliest: Floats, counts: NDArray[np.int64]) -> Bools:
    """The ``counts[i]`` largest of row i; ``likeliest`` are the rows in descending order."""
    least = likeliest[np.arange(len(flat)), np.maximum(counts - 1, 0)]
    least = np.where(counts > 0, np.maximum(least, LEAST), np.inf)
    return flat >= least[:, None]
