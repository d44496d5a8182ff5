"""Beam speculation with a draft model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.composition import Part, known_tokens, run
from engine.executors.native.sampling import DRAFTING, Probabilities, distributions, lucks, pick
from engine.executors.native.sequences import Sequences
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder
from engine.plan import Candidates, DraftShape
from engine.request import Request
from engine.sampling import Sampling

Ints = NDArray[np.int64]
LONG = 16


@dataclass(slots=True)
class Drafts:
    """A beam for each of n requests: ``candidates`` and their ``tokens`` [n, d, w].

    ``drawn_from``: by row, where a chain was drawn and not ranked, the distributions [vocabulary] of each depth; None for
    a depth where there was none to draw from.
    """

    candidates: Candidates
    tokens: Ints
    drawn_from: dict[int, list[Probabilities | None]]


class Drafter:
    """The draft model with its own KV cache, in the same blocks as the target's.

    Before it looks ahead it catches up with what was committed since the last time: a new request's prompt, the last
    step's accepted tokens. Draft tokens are kept after the root and overwritten by the next step.
    """

    def __init__(self, decoder: Decoder, kv: PagedKV, sequences: Sequences, kernel: str):
        self.decoder, self.kv = decoder, kv
        self._sequences, self._kernel = sequences, kernel

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
        seen: NDArray[np.bool_] = np.zeros((len(rows), 1, 0), bool)
        logits = self._catch_up(rows, roots)
        for layer in range(shape.depth):
            if layer:
                seen = _seen(seen, parent[:, layer - 1]) if shape.width > 1 else seen
                logits = self._look_ahead(rows, roots, tokens[:, layer - 1], layer, seen)
            ranked, chance = _likeliest(logits, shape.width)
            for row, distributions_so_far in drawn.items():
                place = int(roots[row]) + 1 - requests[row].prompt_tokens + layer
                q, ranked[row, 0], chance[row, 0] = _draw(requests[row].sampling, logits[row : row + 1], place)
                distributions_so_far.append(q)
            above = paths[:, layer - 1] if layer else np.ones((len(rows), 1))
            if shape.branching is None:
                tokens[:, layer], paths[:, layer], parent[:, layer] = _best(ranked, above, chance, shape.width)
            else:
                nodes = prod(shape.branching[:layer])
                every = _every(ranked, above, chance, nodes, shape.branching[layer])
                for kept, layers in zip(every, (tokens, paths, parent), strict=True):
                    layers[:, layer, : kept.shape[1]] = kept
        return Drafts(Candidates(paths, parent), tokens, drawn)

    def _catch_up(self, rows: Ints, roots: Ints) -> Tensor:
        """Feed what was committed since the last time, the root included: logits [n, vocabulary] after the roots."""
        first = np.minimum(self._sequences.drafted[rows], roots)
        counts = roots + 1 - first
        short, long = np.flatnonzero(counts <= LONG), np.flatnonzero(counts > LONG)
        groups = [short] * bool(len(short)) + [long[i : i + 1] for i in range(len(long))]
        parts = [known_tokens(self._sequences, rows[group], first[group], counts[group]) for group in groups]
        hidden = run(self.decoder, self.kv, self._sequences, parts, self._kernel)
        order = np.concatenate(groups)
        last = np.empty_like(order)
        last[order] = np.cumsum(counts[order]) - 1
        self._sequences.drafted[rows] = roots + 1
        return self.decoder.logits(hidden.index_select(0, torch.from_numpy(last).to(hidden.device)))

    def _look_ahead(self, rows: Ints, roots: Ints, tokens: Ints, layer: int, seen: NDArray[np.bool_]) -> Tensor:
        """Feed ``tokens`` [n, w], the layer before: logits [n * w, vocabulary]."""
        n, width = tokens.shape
        counts, positions = np.full(n, width), np.repeat(roots + layer, width)
        if width == 1:
            part = Part(rows, roots + layer, counts, tokens.ravel(), positions)
        else:
            part = Part(rows, roots + 1, counts, tokens.ravel(), positions, seen, drafted=(layer - 1) * width)
        return self.decoder.logits(run(self.decoder, self.kv, self._sequences, [part], self._kernel))


def _seen(before: NDArray[np.bool_], parent: Ints) -> NDArray[np.bool_]:
    """The ancestor mask [n, w, l * w] of a layer from that of the layer above and the places of the parents [n, w]."""
    n, width = parent.shape
    above = before[np.arange(n)[:, None], parent]
    itself = np.broadcast_to(np.eye(width, dtype=bool), (n, width, width))
    return np.concatenate([above, itself], axis=2)


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
    ranked: Ints, above: NDArray[np.float64], chance: NDArray[np.float64], nodes: int, each: int
) -> tuple[Ints, NDArray[np.float64], Ints]:
    """The ``each`` likeliest children [n * parents, w] of the first ``nodes`` parents: tokens, path probabilities, parents."""
    n, parents = above.shape
    tokens = ranked.reshape(n, parents, -1)[:, :nodes, :each].reshape(n, -1)
    paths = (above[:, :nodes, None] * chance.reshape(n, parents, -1)[:, :nodes, :each]).reshape(n, -1)
    return tokens, paths, np.broadcast_to(np.repeat(np.arange(nodes), each), tokens.shape)


def _best(
    ranked: Ints, above: NDArray[np.float64], chance: NDArray[np.float64], width: int
) -> tuple[Ints, NDArray[np.float64], Ints]:
    """Of all children [n * parents, w] of a layer the ``width`` likeliest paths: tokens, path probabilities, parents."""
    n = len(above)
    if width == 1:
        return ranked, above * chance, np.zeros((n, 1), np.int64)
    paths = (above[:, :, None] * chance.reshape(n, -1, width)).reshape(n, -1)
    kept = np.argsort(-paths, axis=1, kind="stable")[:, :width]
    tokens = np.take_along_axis(ranked.reshape(n, -1), kept, axis=1)
    return tokens, np.take_along_axis(paths, kept, axis=1), kept // width
