"""One layer more of a beam of draft tokens: the likeliest paths among all children of the layer above."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Expand(Protocol):
    def __call__(self, logits: Tensor, above: Tensor, seen: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next layer of n beams of width w below the ``above`` [n, p] (float64) paths, from the logits [n * p, vocabulary]
        after these: path probabilities [n, w] descending, parents, tokens, and ``seen`` [n, w, words].

        ``seen`` has what the nodes of the layer above see of the tree, ``bits`` [w, words] what each new one adds.
        A row of logits that is not finite proposes nothing: its probabilities are 0. Of equal paths the one whose parent, then
        whose token stands first goes first.
        """


def expand(logits: Tensor, above: Tensor, seen: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``Expand`` in plain torch."""
    n, width = len(above), seen.shape[1]
    ranked, chance = likeliest(logits, width)
    paths = (above[:, :, None] * chance.view(n, -1, width)).flatten(1)
    paths, kept = paths.sort(dim=1, descending=True, stable=True)
    paths, kept = paths[:, :width], kept[:, :width]
    parent = kept // width
    inherited = seen.gather(1, parent[:, :, None].expand_as(seen))
    return paths, parent, ranked.view(n, -1).gather(1, kept), inherited | bits


def likeliest(logits: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The ``width`` likeliest tokens after each row of logits [m, vocabulary], and their probabilities in float64."""
    best, tokens = logits.max(-1, keepdim=True) if width == 1 else logits.topk(width)
    chance = (best.float() - logits.float().logsumexp(-1, keepdim=True)).double().exp()
    chance = chance.where(chance.isfinite(), 0.0)
    return tokens, chance / chance.sum(1, keepdim=True).clamp(min=1.0)


def to_see(depth: int, width: int, words: int, device: torch.device) -> Tensor:
    """[depth, width, words]: the bit of each node of a tree, layer by layer."""
    bits = torch.zeros(depth * width, words, dtype=torch.int64)
    nodes = torch.arange(depth * width)
    bits[nodes, nodes // 64] = torch.ones(1, dtype=torch.int64) << (nodes % 64)
    return bits.view(depth, width, words).to(device)
