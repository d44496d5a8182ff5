"""Beam speculation with a draft model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.beams import Beam, DeviceBeam, HostBeam
from engine.executors.native.composition import known_tokens, looking_ahead
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
        drawn: dict[int, list[Probabilities | None]] = {
            row: []
            for row, request in enumerate(requests)
            if shape.whole and shape.width == 1 and request.sampling.temperature > 0
        }

        def draw(row: int, layer: int, logits: Tensor) -> tuple[Probabilities | None, int, float]:
            place = int(roots[row]) + 1 - requests[row].prompt_tokens + layer
            found = _draw(requests[row].sampling, logits, place)
            drawn[row].append(found[0])
            return found

        logits = self._catch_up(rows, roots)
        plain = shape.branching is None and not drawn and shape.width <= logits.shape[1]
        beam: Beam = HostBeam(len(rows), shape, list(drawn), draw)
        if plain and logits.is_cuda:
            beam = DeviceBeam(len(rows), shape, logits.device, self.runner.kernels.expand, self.runner.wait)
        beam.grow(logits)
        for layer in range(1, shape.depth):
            step = looking_ahead(self._sequences, rows, roots, layer, beam.tokens, beam.mask)
            beam.grow(self.runner.forward(step, *beam.on_device))
        return Drafts(*beam.read(), drawn)

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


def _draw(sampling: Sampling, logits: Tensor, place: int) -> tuple[Probabilities | None, int, float]:
    """A draft token for a place of the answer under the request's own sampling: its distribution, it, its probability.

    Logits that are not numbers give token 0, as if it were ranked.
    """
    if not logits.max().isfinite():
        return None, 0, 0.0
    q = distributions(logits, [sampling])[0]
    token = pick(q, lucks(sampling.seed, DRAFTING, place, 1)[0])
    return q, token, float(q[token])
