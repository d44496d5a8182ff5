"""Beams of draft tokens, layer by layer: on the host, and on the device, where no layer waits for the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import see, words_for
from engine.executors.native.sampling import Probabilities
from engine.plan import DraftShape

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Draw = Callable[[int, int, Tensor], tuple[Probabilities | None, int, float]]


class Beam(Protocol):
    """Layers of ``width`` draft tokens below n roots."""

    @property
    def tokens(self) -> Ints:
        """[n, w] of the next forward."""

    @property
    def mask(self) -> Ints:
        """[n, w, words] of the next forward: what each of its tokens sees of the tree."""

    @property
    def on_device(self) -> tuple[Tensor | None, Tensor | None]:
        """Both, where ``tokens`` and ``mask`` have their shape alone."""

    def grow(self, logits: Tensor) -> None:
        """One layer more, from the logits [n, vocabulary] after the roots, or [n * w, vocabulary] after the layer above."""

    def read(self) -> tuple[Floats, Ints, Ints]:
        """Path probabilities, parents and tokens [n, d, w] of all layers."""


class HostBeam:
    """Draft tokens ranked with numpy. ``draw(row, layer, logits)`` chooses those of the rows ``drawn`` instead."""

    def __init__(self, n: int, shape: DraftShape, drawn: Sequence[int] = (), draw: Draw | None = None):
        size = (n, shape.depth, shape.width)
        self._tokens, self._parent, self._paths = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
        self._shape, self._drawn, self._draw, self._layers = shape, drawn, draw, 0
        self.mask = np.zeros((n, shape.width, words_for(shape.depth * shape.width)), np.int64)

    @property
    def tokens(self) -> Ints:
        return self._tokens[:, self._layers - 1]

    @property
    def on_device(self) -> tuple[None, None]:
        return None, None

    def grow(self, logits: Tensor) -> None:
        shape, layer = self._shape, self._layers
        each = [min(children, logits.shape[1]) for children in shape.branching or [shape.width] * shape.depth]
        ranked, chance = likeliest(logits, each[layer])
        for row in self._drawn:
            assert self._draw is not None
            _, ranked[row, 0], chance[row, 0] = self._draw(row, layer, logits[row : row + 1])
        above = self._paths[:, layer - 1] if layer else np.ones((len(self._paths), 1))
        if shape.branching is None:
            found = _best(ranked, above, chance, shape.width)
        else:
            found = _every(ranked, above, chance, prod(each[:layer]))
        for kept, layers in zip(found, (self._tokens, self._paths, self._parent), strict=True):
            layers[:, layer, : kept.shape[1]] = kept
        self._layers += 1
        if shape.width > 1:
            self.mask = _below(self.mask, self._parent[:, layer], layer + 1)

    def read(self) -> tuple[Floats, Ints, Ints]:
        return self._paths, self._parent, self._tokens


class DeviceBeam:
    """The same for beams without branching and draws, as tensors; ``wait`` until the device is past an event."""

    def __init__(self, n: int, shape: DraftShape, device: torch.device, wait: Callable[[torch.cuda.Event], None]):
        words = words_for(shape.depth * shape.width)
        self.tokens, self.mask = np.zeros((n, shape.width), np.int64), np.zeros((n, shape.width, words), np.int64)
        self._shape, self._wait, self._bits = shape, wait, _bits(shape.depth, shape.width, device)
        self._seen = torch.zeros(n, shape.width, words, dtype=torch.int64, device=device)
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def on_device(self) -> tuple[Tensor, Tensor | None]:
        return self._layers[-1][2].flatten(), self._seen.flatten(0, 1) if self._shape.width > 1 else None

    def grow(self, logits: Tensor) -> None:
        width, n = self._shape.width, len(self.tokens)
        above = self._layers[-1][0] if self._layers else torch.ones(n, 1, dtype=torch.float64, device=logits.device)
        ranked, chance = likeliest_on_device(logits, width)
        paths = (above[:, :, None] * chance.view(n, -1, width)).flatten(1)
        paths, kept = paths.sort(dim=1, descending=True, stable=True)
        paths, kept = paths[:, :width], kept[:, :width]
        parent = kept // width
        self._layers.append((paths, parent, ranked.view(n, -1).gather(1, kept)))
        if width > 1:
            inherited = self._seen.gather(1, parent[:, :, None].expand_as(self._seen))
            self._seen = inherited | self._bits[len(self._layers) - 1]

    def read(self) -> tuple[Floats, Ints, Ints]:
        paths, parents, tokens = (torch.stack(layers, 1) for layers in zip(*self._layers, strict=True))
        whole = torch.stack([paths.view(torch.int64), parents, tokens])
        if whole.is_cuda:
            there = torch.empty(whole.shape, dtype=torch.int64, pin_memory=True).copy_(whole, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
            self._wait(arrived)
            whole = there
        bits, parent, token = whole.numpy()
        return bits.view(np.float64), parent, token


def likeliest(logits: Tensor, width: int) -> tuple[Ints, Floats]:
    """The ``width`` likeliest tokens after each row of logits [m, vocabulary] and their probabilities, descending.

    A row that is not finite proposes nothing: its probabilities are 0.
    """
    tokens, chance = likeliest_on_device(logits, width)
    return tokens.cpu().numpy(), chance.cpu().numpy()


def likeliest_on_device(logits: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The same as tensors."""
    best, tokens = logits.max(-1, keepdim=True) if width == 1 else logits.topk(width)
    chance = (best.float() - logits.float().logsumexp(-1, keepdim=True)).double().exp()
    chance = chance.where(chance.isfinite(), 0.0)
    return tokens, chance / chance.sum(1, keepdim=True).clamp(min=1.0)


@cache
def _bits(depth: int, width: int, device: torch.device) -> Tensor:
    """[depth, width, words]: what a node of a layer adds to what its parent sees, itself."""
    bits = np.zeros((depth * width, words_for(depth * width)), np.int64)
    see(bits, np.arange(depth * width), np.arange(depth * width))
    return torch.from_numpy(bits).to(device).view(depth, width, -1)


def _below(mask: Ints, parent: Ints, layer: int) -> Ints:
    """The tree mask [n, w, words] of the nodes of layer ``layer``, counted from 1, whose parents are at places ``parent``
    [n, w] of the layer above."""
    n, width = parent.shape
    below = mask[np.arange(n)[:, None], parent].reshape(n * width, -1)
    see(below, np.arange(n * width), np.tile((layer - 1) * width + np.arange(width), n))
    return below.reshape(mask.shape)


def _every(ranked: Ints, above: Floats, chance: Floats, nodes: int) -> tuple[Ints, Floats, Ints]:
    """All children [n * parents, each] of the first ``nodes`` parents: tokens, path probabilities, parents."""
    n, parents = above.shape
    tokens = ranked.reshape(n, parents, -1)[:, :nodes].reshape(n, -1)
    paths = (above[:, :nodes, None] * chance.reshape(n, parents, -1)[:, :nodes]).reshape(n, -1)
    return tokens, paths, np.broadcast_to(np.repeat(np.arange(nodes), ranked.shape[1]), tokens.shape)


def _best(ranked: Ints, above: Floats, chance: Floats, width: int) -> tuple[Ints, Floats, Ints]:
    """Of all children [n * parents, each] of a layer the ``width`` likeliest paths: tokens, path probabilities, parents."""
    n, each = len(above), ranked.shape[1]
    if width == 1:
        return ranked, above * chance, np.zeros((n, 1), np.int64)
    paths = (above[:, :, None] * chance.reshape(n, -1, each)).reshape(n, -1)
    kept = np.argsort(-paths, axis=1, kind="stable")[:, :width]
    tokens = np.take_along_axis(ranked.reshape(n, -1), kept, axis=1)
    return tokens, np.take_along_axis(paths, kept, axis=1), kept // each
