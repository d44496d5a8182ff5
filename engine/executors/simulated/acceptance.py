"""Which draft tokens the target accepts, without either model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.request import Request

LEVELS, REQUESTS, FINE, COARSE = 32, 4096, 4096, 512


@dataclass(frozen=True)
class AcceptanceModel:
    """A calibrated draft: a node's probability is the chance that the target takes it once it took its parent.

    The likeliest child of a node has probability Beta-distributed with ``mean`` and ``concentration`` (alpha + beta),
    independently for each node; each later child has ``later_share`` of what its elder siblings left,
    but never more than the first. Chains and trees
    draw from the same process. ``by_kind``: the mean for requests of a kind of text (their category), where it is known.
    ``spread``: requests of one kind differ too; the log-odds of their means are normal around the kind's with this deviation.
    """

    mean: float
    concentration: float = 1.5
    later_share: float = 0.3
    by_kind: Mapping[str, float] = field(default_factory=dict, hash=False)
    spread: float = 0.0

    def __post_init__(self) -> None:
        means = (self.mean, *self.by_kind.values())
        shares = (*means, self.later_share)
        if not all(0 <= share <= 1 for share in shares) or self.concentration <= 0 or not 0 <= self.spread < 10:
            raise ValueError(f"not an acceptance model: {self}")

    def sampler(self, seed: int) -> AcceptanceSampler:
        """What draws from this model."""
        return AcceptanceSampler(self, seed)

    def means(self) -> NDArray[np.float64]:
        """[kinds + 1, levels]: the mean for requests of no known kind, then of each kind, at equally likely levels."""
        kinds = np.array([self.mean, *self.by_kind.values()])
        if not self.spread:
            return kinds[:, None]
        from scipy.special import expit, logit, ndtri

        apart = self.spread * ndtri((np.arange(LEVELS) + 0.5) / LEVELS)
        return np.asarray(expit(logit(kinds)[:, None] + apart))


@cache
def quantiles(mean: float, concentration: float, count: int = FINE) -> NDArray[np.float64]:
    """The first child's probability at ``count`` equally likely levels, ascending; their mean is ``mean``."""
    if mean in (0.0, 1.0):
        return np.full(count, mean)
    from scipy.special import betaincinv

    levels = (np.arange(count) + 0.5) / count
    alpha = mean * concentration
    values = betaincinv(alpha, concentration - alpha, levels)
    return np.minimum(values * (mean / values.mean()), 1.0)


class AcceptanceSampler:
    """Draws candidates and outcomes of an acceptance model from one seeded generator."""

    def __init__(self, model: AcceptanceModel, seed: int):
        self._rng = np.random.default_rng(seed)
        means = model.means()
        count = COARSE if model.spread else FINE
        self._first = np.array([quantiles(float(mean), model.concentration, count) for mean in means.ravel()])
        self._levels = means.shape[1]
        self._level_of = np.random.default_rng((seed, LEVELS)).integers(0, self._levels, REQUESTS)
        self._kinds = {kind: number for number, kind in enumerate(model.by_kind, 1)}
        self._later_share = model.later_share

    def draft_for(self, requests: Sequence[Request], shape: DraftShape) -> Candidates:
        """A beam for each request, as likely to be accepted as its kind of text is, and as it is itself."""
        if len(self._first) == 1:
            return self.draft(len(requests), shape)
        known, n = self._kinds, len(requests)
        kinds = np.fromiter((known.get(request.category or "", 0) for request in requests), np.int64, n)
        levels = self._level_of[np.fromiter((request.id for request in requests), np.int64, n) % REQUESTS]
        return self.draft(n, shape, (kinds * self._levels + levels)[:, None, None])

    def draft(self, requests: int, shape: DraftShape, which: NDArray[np.int64] | int = 0) -> Candidates:
        """A beam for each request: of all children of a layer's nodes the ``width`` likeliest paths survive; or the static
        tree that ``branching`` asks for. ``which``: the row of the model's means, as if they were one after the other."""
        depth, width = shape.depth, shape.width
        first = self._first[which, self._rng.integers(0, self._first.shape[1], (requests, depth, width))]
        parent = np.zeros((requests, depth, width), np.int64)
        if width == 1:
            return Candidates(np.multiply.accumulate(first, axis=1), parent)
        children = self._siblings(first)
        if shape.branching is not None:
            return self._static(children, shape.branching)
        probability = np.empty((requests, depth, width))
        probability[:, 0] = children[:, 0, 0]
        for layer in range(1, depth):
            paths = (probability[:, layer - 1, :, None] * children[:, layer]).reshape(requests, -1)
            best = np.argsort(-paths, axis=1, kind="stable")[:, :width]
            probability[:, layer] = np.take_along_axis(paths, best, axis=1)
            parent[:, layer] = best // width
        return Candidates(probability, parent)

    @staticmethod
    def _static(children: NDArray[np.float64], branching: Sequence[int]) -> Candidates:
        """Every node's likeliest children [n, d, w, w], as many as its layer says."""
        requests, depth, width, _ = children.shape
        probability, parent = np.zeros((2, requests, depth, width))
        above, nodes = np.ones((requests, 1)), 1
        for layer, each in enumerate(branching):
            above = (above[:, :, None] * children[:, layer, :nodes, :each]).reshape(requests, -1)
            parent[:, layer, : nodes * each] = np.repeat(np.arange(nodes), each)
            nodes *= each
            probability[:, layer, :nodes] = above
        return Candidates(probability, parent.astype(np.int64))

    def _siblings(self, first: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of ``width`` children of each node, from that of the first: a new last axis."""
        width = first.shape[-1]
        rest = (1 - first)[..., None] * self._later_share * (1 - self._later_share) ** np.arange(width - 1)
        return np.concatenate([first[..., None], np.minimum(rest, first[..., None])], axis=-1)

    def accept(self, trees: TokenTrees) -> NDArray[np.int64]:
        """Draft tokens accepted for each request: how far a walk by the nodes' probabilities stays in its tree."""
        probability, selected = trees.candidates.probability, trees.selected
        requests, depth, width = probability.shape
        luck = self._rng.random((requests, depth))
        if width == 1:
            above = np.concatenate([np.ones((requests, 1)), probability[:, :-1, 0]], axis=1)
            taken = selected[:, :, 0] & (luck * above < probability[:, :, 0])
            return np.cumprod(taken, axis=1).sum(axis=1)
        return self._walk(trees, luck)

    @staticmethod
    def _walk(trees: TokenTrees, luck: NDArray[np.float64]) -> NDArray[np.int64]:
        probability, parent, selected = trees.candidates.probability, trees.candidates.parent, trees.selected
        requests, depth, _ = probability.shape
        rows = np.arange(requests)
        at = np.zeros(requests, np.int64)
        reached = np.ones(requests)
        alive = np.ones(requests, bool)
        accepted = np.zeros(requests, np.int64)
        for layer in range(depth):
            children = np.where(parent[:, layer] == at[:, None], probability[:, layer], 0.0)
            passed = np.cumsum(children, axis=1) > (luck[:, layer] * reached)[:, None]
            at = np.argmax(passed, axis=1)
            alive &= passed[rows, at] & selected[rows, layer, at]
            accepted += alive
            reached = probability[rows, layer, at]
        return accepted
