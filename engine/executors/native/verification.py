"""Which draft tokens the target accepts. Neither way of checking changes what the target alone would have said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.executors.native.sampling import Probabilities, pick
from engine.executors.native.trees import NOWHERE, TreeRows

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Verified:
    """For n trees of depth d: ``accepted`` [n] draft tokens, ``path`` [n, d] their numbers in the tree, ``tokens``
    [n, d + 1] the accepted ones and, after them, the target's own next token."""

    accepted: Ints
    path: Ints
    tokens: Ints


def verify_greedily(nodes: TreeRows, drafts: Ints, best: Ints) -> Verified:
    """Walk down from the root as long as a child is the target's likeliest token.

    ``drafts`` [n, d, w] tokens of the candidates, ``best`` [n, longest] the target's likeliest token after each node.
    """
    n, depth, _ = drafts.shape
    rows = np.arange(n)
    at, alive = np.zeros(n, np.int64), np.ones(n, bool)
    accepted, path, tokens = np.zeros(n, np.int64), np.zeros((n, depth), np.int64), np.zeros((n, depth + 1), np.int64)
    for layer in range(depth):
        wanted = best[rows, at]
        fits = (nodes.number[:, layer] != NOWHERE) & (nodes.parent[:, layer] == at[:, None])
        fits &= (drafts[:, layer] == wanted[:, None]) & alive[:, None]
        alive = fits.any(axis=1)
        if not alive.any():
            break
        at = np.where(alive, nodes.number[rows, layer, fits.argmax(axis=1)], at)
        path[:, layer] = at
        tokens[alive, layer] = wanted[alive]
        accepted += alive
    tokens[rows, accepted] = best[rows, at]
    return Verified(accepted, path, tokens)


def accept_or_resample(
    target: Probabilities, proposals: Sequence[tuple[int, Probabilities | None]], luck: Iterator[float]
) -> tuple[int | None, int]:
    """Multi-round rejection over the children of one node: (place of the accepted child or None, token).

    Each proposal is a token with the distribution q that it was drawn from, or None when it was not drawn but ranked,
    which is a q with all its weight on that token. It is accepted with probability min(1, p / q); after a rejection p
    becomes what of p - q is positive, normalised (Leviathan et al. 2023; Miao et al., SpecInfer, for several children).
    The token then is distributed as ``target``.
    """
    p = target
    for place, (token, q) in enumerate(proposals):
        drawn_from = 1.0 if q is None else q[token]
        if next(luck) * drawn_from < p[token]:
            return place, token
        p = np.maximum(p - q, 0.0) if q is not None else p.copy()
        if q is None:
            p[token] = 0.0
        p = p / p.sum()
    return None, pick(p, next(luck))


def verify_by_sampling(
    nodes: TreeRows,
    row: int,
    drafts: Ints,
    targets: Probabilities,
    drawn_from: Sequence[Probabilities | None] | None,
    luck: Callable[[int], Iterator[float]],
    verdict: Verified,
) -> None:
    """Walk tree ``row`` by ``accept_or_resample`` and write its part of ``verdict``.

    ``targets`` [nodes, vocabulary] the target's distribution after each node, ``drawn_from`` the draft's [vocabulary] at
    each depth of a drawn chain, None where the draft is ranked, ``luck(depth)`` fresh random numbers for each depth.
    """
    verdict.path[row], at = 0, 0
    for layer in range(drafts.shape[1]):
        places = np.flatnonzero((nodes.number[row, layer] != NOWHERE) & (nodes.parent[row, layer] == at))
        q = None if drawn_from is None else drawn_from[layer]
        place, token = accept_or_resample(targets[at], [(int(drafts[row, layer, i]), q) for i in places], luck(layer))
        verdict.accepted[row], verdict.tokens[row, layer] = layer, token
        if place is None:
            return
        at = int(nodes.number[row, layer, places[place]])
        verdict.path[row, layer] = at
    verdict.accepted[row] = drafts.shape[1]
    verdict.tokens[row, drafts.shape[1]] = pick(targets[at], next(luck(drafts.shape[1])))
