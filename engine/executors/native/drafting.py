"""Beam speculation with a draft model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
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
USUAL_WIDTH = 4


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
        self._begun: tuple[Ints, Ints, Tensor] | None = None

    def draft(self, requests: Sequence[Request], rows: Ints, roots: Ints, shape: DraftShape) -> Drafts:
        """``shape.depth`` layers of ``shape.width`` draft tokens after the roots, which stand at positions ``roots``."""
        drawn = {
            row: list[Probabilities | None]()
            for row, request in enumerate(requests)
            if shape.whole and shape.width == 1 and request.sampling.temperature > 0
        }

        def draw(row: int, layer: int, logits: Tensor) -> tuple[Probabilities | None, int, float]:
            place = int(roots[row]) + 1 - requests[row].prompt_tokens + layer
            found = _draw(requests[row].sampling, logits, place)
            drawn[row].append(found[0])
            return found

        logits = self._catch_up(rows, roots)
        on_device = logits.is_cuda and self.grows_on_device(shape) and not drawn
        beam = self._device_beam(len(rows), shape, logits) if on_device else HostBeam(len(rows), shape, list(drawn), draw)
        self._grow(beam, logits, rows, roots, shape)
        return Drafts(*beam.read(), drawn)

    def grows_on_device(self, shape: DraftShape) -> bool:
        """Whether a beam of this shape can stay on the device until it is read."""
        return shape.branching is None and shape.width <= self.runner.vocabulary

    def device_beam(self, rows: Ints, roots: Ints, shape: DraftShape) -> DeviceBeam:
        """The same as a beam that is still on the device, of ranked drafts alone."""
        logits = self._catch_up(rows, roots)
        beam = self._device_beam(len(rows), shape, logits)
        self._grow(beam, logits, rows, roots, shape)
        return beam

    def begin(self, rows: Ints, roots: Ints) -> None:
        """Catch up ahead of the next draft, which is likely to be for these rows."""
        self._begun = rows, roots, self._caught_up(rows, roots)

    def warm_up(self) -> None:
        """Compile what grows beams of the usual widths."""
        for width in range(1, USUAL_WIDTH + 1):
            logits = torch.zeros(width, self.runner.vocabulary, dtype=self.runner.kv.data.dtype, device=self.runner.kv.device)
            beam = self._device_beam(1, DraftShape(2, width, 1 + 2 * width), logits)
            beam.grow(logits[:1])
            beam.grow(logits)

    def _device_beam(self, n: int, shape: DraftShape, logits: Tensor) -> DeviceBeam:
        return DeviceBeam(n, shape, logits.device, self.runner.kernels.expand, self.runner.wait)

    def _grow(self, beam: Beam, logits: Tensor, rows: Ints, roots: Ints, shape: DraftShape) -> None:
        beam.grow(logits)
        for layer in range(1, shape.depth):
            step = looking_ahead(self._sequences, rows, roots, layer, beam.tokens, beam.mask)
            beam.grow(self.runner.forward(step, *beam.on_device))

    def _catch_up(self, rows: Ints, roots: Ints) -> Tensor:
        """The logits after the roots; they were begun, or are computed."""
        begun, self._begun = self._begun, None
        there = begun is not None and np.array_equal(begun[0], rows) and np.array_equal(begun[1], roots)
        if begun is not None and there and (self._sequences.drafted[rows] == roots + 1).all():
            return begun[2]
        return self._caught_up(rows, roots)

    def _caught_up(self, rows: Ints, roots: Ints) -> Tensor:
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
