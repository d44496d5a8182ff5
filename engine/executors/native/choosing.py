"""The next tokens from the target's logits: chosen for one token a request, verified for a tree each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.drafting import Drafts
from engine.executors.native.sampling import DECIDING, distributions, lucks, pick
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import TreeRows
from engine.executors.native.verification import Verified, verify_by_sampling, verify_greedily
from engine.request import Request

Ints = NDArray[np.int64]


def choose(
    requests: Sequence[Request], sequences: Sequences, rows: Ints, logits: Tensor, places: Ints, best: Ints
) -> Ints:
    """The next token of each request: the likeliest, or where it samples one drawn by the logits at its place."""
    if not (drawn := _sampled(requests)):
        return best
    tokens, answered = best.copy(), sequences.answered(rows)
    probabilities = distributions(logits[places[drawn]], [requests[i].sampling for i in drawn])
    for i, probability in zip(drawn, probabilities, strict=True):
        tokens[i] = pick(probability, lucks(requests[i].sampling.seed, DECIDING, int(answered[i]), 1)[0])
    return tokens


def log_probabilities(logits: Tensor, after: Ints, tokens: Sequence[int]) -> list[float]:
    """Of each token under the model's own distribution, by the row of logits [m, vocabulary] that it came ``after``."""
    rows = logits[torch.from_numpy(after).to(logits.device)].double()
    chosen = torch.tensor(tokens, device=logits.device)[:, None]
    return (rows.gather(1, chosen) - rows.logsumexp(-1, keepdim=True))[:, 0].tolist()


def verify(
    requests: Sequence[Request], sequences: Sequences, rows: Ints, nodes: TreeRows, drafts: Drafts, logits: Tensor, best: Ints
) -> Verified:
    """Verify one tree for each request; ``logits`` [nodes, vocabulary] and ``best`` [nodes] are those after every node."""
    begin = np.cumsum(nodes.counts) - nodes.counts
    after = np.zeros((len(requests), nodes.longest), np.int64)
    after[np.repeat(np.arange(len(requests)), nodes.counts), np.arange(len(best)) - np.repeat(begin, nodes.counts)] = best
    verdict = verify_greedily(nodes, drafts.tokens, after)
    places = sequences.answered(rows)
    for i in _sampled(requests):
        sampling = requests[i].sampling
        own = logits[begin[i] : begin[i] + nodes.counts[i]]
        targets = distributions(own, [sampling] * len(own))
        luck = _Luck(sampling.seed, int(places[i]), drafts.tokens.shape[2] + 1)
        verify_by_sampling(nodes, i, drafts.tokens, targets, drafts.drawn_from.get(i), luck, verdict)
    return verdict


def _sampled(requests: Sequence[Request]) -> list[int]:
    return [i for i, request in enumerate(requests) if request.sampling.temperature > 0]


class _Luck:
    """Fresh numbers for each place of an answer, from ``place`` on."""

    def __init__(self, seed: int, place: int, count: int):
        self._seed, self._place, self._count = seed, place, count

    def __call__(self, depth: int) -> Iterator[float]:
        return iter(lucks(self._seed, DECIDING, self._place + depth, self._count))
