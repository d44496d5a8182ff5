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
from engine.kernels.beams import Expand, likeliest, to_see
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
        ranked, chance = (tensor.cpu().numpy() for tensor in likeliest(logits, each[layer]))
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
    """The same for beams without branching and draws, as tensors. ``wait`` until the device is past an event."""

    def __init__(
        self, n: int, shape: DraftShape, device: torch.device, expand: Expand, wait: Callable[[torch.cuda.Event], None]
    ):
        words = words_for(shape.depth * shape.width)
        self.tokens, self.mask = np.zeros((n, shape.width), np.int64), np.zeros((n, shape.width, words), np.int64)
        self._bits = _bits(shape.depth, shape.width, words, device)
        self._seen = torch.zeros(n, shape.width, words, dtype=torch.int64, device=device)
        self._expand, self._wait = expand, wait
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def on_device(self) -> tuple[Tensor, Tensor | None]:
        return self._layers[-1][2].flatten(), self._seen.flatten(0, 1) if self._seen.shape[1] > 1 else None

    def grow(self, logits: Tensor) -> None:
        above = self._layers[-1][0] if self._layers else torch.ones(len(self.tokens), 1, dtype=torch.float64,
                                                                    device=logits.device)
        *layer, self._seen = self._expand(logits, above, self._seen, self._bits[len(self._layers)])
        self._layers.append((layer[0], layer[1], layer[2]))

    def whole(self) -> tuple[Tensor, Tensor, Tensor]:
        """Paths, parents and tokens [n, d, w] of all layers, where they are."""
        paths, parents, tokens = (torch.stack(layers, 1) for layers in zip(*self._layers, strict=True))
        return paths, parents, tokens

    def read(self) -> tuple[Floats, Ints, Ints]:
        paths, parents, tokens = self.whole()
        bits, parent, token = OnItsWay(torch.stack([paths.view(torch.int64), parents, tokens]), self._wait).read()
        return bits.view(np.float64), parent, token


_bits = cache(to_see)


class OnItsWay:
    """Integers of a device that are sent to the host."""

    def __init__(self, numbers: Tensor, wait: Callable[[torch.cuda.Event], None]):
        self._there, self._wait = numbers, wait
        self._arrived: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._there = torch.empty(numbers.shape, dtype=torch.int64, pin_memory=True).copy_(numbers, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def read(self) -> Ints:
        """Waits for them."""
        if self._arrived is not None:
            self._wait(self._arrived)
        return self._there.numpy()


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
