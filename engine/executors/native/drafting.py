"""Beam speculation with a draft model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.composition import known_tokens, looking_ahead
from engine.executors.native.forward_input import see, words_for
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.sampling import DRAFTING, Probabilities, distributions, lucks, pick
from engine.executors.native.sequences import Sequences
from engine.plan import Candidates, DraftShape
from engine.request import Request
from engine.sampling import Sampling

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drafts(Candidates):
    """Candidates with their ``tokens`` [n, d, w].

    ``drawn_from``: by row, where a chain was drawn and not ranked, the distributions [vocabulary] of each depth; None for
    a depth where there was none to draw from.
    """

    tokens: Ints
    drawn_from: dict[int, list[Probabilities | None]]


class Drafter:
    """The draft model, which keeps a token in the same slot of its own KV cache as the target.

    Before it looks ahead it catches up with what was committed since the last time: a new request's prompt, the last
    step's accepted tokens. Draft tokens are kept after the root and overwritten by the next step.
    """

    def __init__(self, runner: ModelRunner, sequences: Sequences):
        self.runner, self._sequences = runner, sequences

    def draft(self, requests: Sequence[Request], rows: Ints, roots: Ints, shape: DraftShape) -> Drafts:
        """``shape.depth`` layers of ``shape.width`` draft tokens after the roots, which stand at positions ``roots``."""
        size = (len(rows), shape.depth, shape.width)
        tokens, parent = np.zeros(size, np.int64), np.zeros(size, np.int64)
        paths: NDArray[np.float64] = np.zeros(size)
        drawn: dict[int, list[Probabilities | None]] = {
            row: []
            for row, request in enumerate(requests)
            if shape.whole and shape.width == 1 and request.sampling.temperature > 0
        }
        mask = np.zeros((len(rows), shape.width, words_for(shape.depth * shape.width)), np.int64)
        logits = self._catch_up(rows, roots)
        each = [min(children, logits.shape[1]) for children in shape.branching or [shape.width] * shape.depth]
        for layer in range(shape.depth):
            if layer:
                mask = _below(mask, parent[:, layer - 1], layer) if shape.width > 1 else mask
                step = looking_ahead(self._sequences, rows, roots, layer, tokens[:, layer - 1], mask)
                logits = self.runner.forward(step)
            ranked, chance = _likeliest(logits, each[layer])
            for row, distributions_so_far in drawn.items():
                place = int(roots[row]) + 1 - requests[row].prompt_tokens + layer
                q, ranked[row, 0], chance[row, 0] = _draw(requests[row].sampling, logits[row : row + 1], place)
                distributions_so_far.append(q)
            above = paths[:, layer - 1] if layer else np.ones((len(rows), 1))
            if shape.branching is None:
                found = _best(ranked, above, chance, shape.width)
            else:
                found = _every(ranked, above, chance, prod(each[:layer]))
            for kept, layers in zip(found, (tokens, paths, parent), strict=True):
                layers[:, layer, : kept.shape[1]] = kept
        return Drafts(paths, parent, tokens, drawn)

    def _catch_up(self, rows: Ints, roots: Ints) -> Tensor:
        """Feed what was committed since the last time, the root included: logits [n, vocabulary] after the roots.

        Sequences with equally many tokens stand together, since they can attend together.
        """
        first = np.minimum(self._sequences.drafted[rows], roots)
        counts = roots + 1 - first
        order = np.argsort(counts, kind="stable")
        last = np.empty_like(order)
        last[order] = np.cumsum(counts[order]) - 1
        self._sequences.drafted[rows] = roots + 1
        return self.runner.forward(known_tokens(self._sequences, rows[order], first[order], counts[order], last))


def _below(mask: Ints, parent: Ints, layer: int) -> Ints:
    """The tree mask [n, w, words] of the nodes of layer ``layer``, counted from 1, whose parents are at places ``parent``
    [n, w] of the layer above."""
    n, width = parent.shape
    below = mask[np.arange(n)[:, None], parent].reshape(n * width, -1)
    see(below, np.arange(n * width), np.tile((layer - 1) * width + np.arange(width), n))
    return below.reshape(mask.shape)


def _likeliest(logits: Tensor, width: int) -> tuple[Ints, NDArray[np.float64]]:
    """The ``width`` likeliest tokens after each row of logits [m, vocabulary] and their probabilities, descending.

    A row that is not finite proposes nothing: its probabilities are 0.
    """
    best, tokens = logits.max(-1, keepdim=True) if width == 1 else logits.topk(width)
    chance = (best - logits.logsumexp(-1, keepdim=True)).double().exp().cpu().numpy()
    chance = np.where(np.isfinite(chance), chance, 0.0)
    chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1.0)
    return tokens.cpu().numpy(), chance


def _draw(sampling: Sampling, logits: Tensor, place: int) -> tuple[Probabilities | None, int, float]:
    """A draft token for a place of the answer under the request's own sampling: its distribution, it, its probability.

    Logits that are not numbers give token 0, as if it were ranked.
    """
    if not logits.max().isfinite():
        return None, 0, 0.0
    q = distributions(logits, [sampling])[0]
    token = pick(q, lucks(sampling.seed, DRAFTING, place, 1)[0])
    return q, token, float(q[token])


def _every(
    ranked: Ints, above: NDArray[np.float64], chance: NDArray[np.float64], nodes: int
) -> tuple[Ints, NDArray[np.float64], Ints]:
    """All children [n * parents, each] of the first ``nodes`` parents: tokens, path probabilities, parents."""
    n, parents = above.shape
    tokens = ranked.reshape(n, parents, -1)[:, :nodes].reshape(n, -1)
    paths = (above[:, :nodes, None] * chance.reshape(n, parents, -1)[:, :nodes]).reshape(n, -1)
    return tokens, paths, np.broadcast_to(np.repeat(np.arange(nodes), ranked.shape[1]), tokens.shape)


def _best(
    ranked: Ints, above: NDArray[np.float64], chance: NDArray[np.float64], width: int
) -> tuple[Ints, NDArray[np.float64], Ints]:
    """Of all children [n * parents, each] of a layer the ``width`` likeliest paths: tokens, path probabilities, parents."""
    n, each = len(above), ranked.shape[1]
    if width == 1:
        return ranked, above * chance, np.zeros((n, 1), np.int64)
    paths = (above[:, :, None] * chance.reshape(n, -1, each)).reshape(n, -1)
    kept = np.argsort(-paths, axis=1, kind="stable")[:, :width]
    tokens = np.take_along_axis(ranked.reshape(n, -1), kept, axis=1)
    return tokens, np.take_along_axis(paths, kept, axis=1), kept // each
