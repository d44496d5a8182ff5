"""From logits to tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.sampling import Sampling

Probabilities = NDArray[np.float64]
DECIDING, DRAFTING = 0, 1


def distributions(logits: Tensor, settings: Sequence[Sampling]) -> Probabilities:
    """What each row of logits [m, vocabulary] makes of the next token under its setting: [m, vocabulary], rows sum to 1.

    Temperature 0 puts everything on the likeliest token.
    """
    temperature = torch.tensor([setting.temperature or 1.0 for setting in settings], dtype=torch.float64)
    scaled = logits.double().cpu() / temperature[:, None]
    for row, setting in enumerate(settings):
        if setting.temperature == 0:
            scaled[row] = torch.full_like(scaled[row], -torch.inf).index_fill_(0, scaled[row].argmax(), 0.0)
        elif 0 < setting.top_k < scaled.shape[1]:
            scaled[row].masked_fill_(scaled[row] < scaled[row].topk(setting.top_k).values[-1], -torch.inf)
    probabilities = scaled.softmax(-1)
    for row, setting in enumerate(settings):
        if setting.top_p < 1:
            probabilities[row] = _nucleus(probabilities[row], setting.top_p)
    return probabilities.numpy()


def _nucleus(probability: Tensor, top_p: float) -> Tensor:
    """The likeliest tokens up to and with the one that reaches ``top_p``, renormalised."""
    ranked, order = probability.sort(descending=True)
    kept = torch.zeros_like(probability)
    kept[order] = torch.where(ranked.cumsum(0) - ranked < top_p, ranked, 0.0)
    return kept / kept.sum()


def pick(probability: Probabilities, luck: float) -> int:
    """The token at the share ``luck`` (0 to 1) of a distribution [vocabulary], which need not be normalised."""
    total = probability.cumsum()
    return int(min(np.searchsorted(total, luck * total[-1], side="right"), np.flatnonzero(probability)[-1]))


def lucks(seed: int, purpose: int, place: int, count: int) -> list[float]:
    """``count`` numbers in [0, 1) that depend on a request's seed, what they decide and the place in its answer alone.

    A place is decided once, so its DECIDING numbers are used once. Its DRAFTING number may draw several drafts, of which
    only one is looked at.
    """
    return np.random.default_rng((seed, purpose, place)).random(count).tolist()
