"""Random candidate trees, as a draft gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.plan import Candidates, Selection


@dataclass(frozen=True)
class Drawn:
    """Candidates with their tokens, and what a selection needs."""

    candidates: Candidates
    tokens: NDArray[np.int64]
    rule: Selection

    def tensors(self, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Paths, parents, tokens and need."""
        found = self.candidates
        arrays = (found.probability, found.parent, self.tokens, self.rule.need)
        paths, parents, tokens, need = (torch.from_numpy(array).to(device) for array in arrays)
        return paths, parents, tokens, need


@st.composite
def drawn(draw: st.DrawFn, vocabulary: int = 6) -> Drawn:
    """Beams of up to 7 requests; some places are empty, and paths are often alike."""
    n, depth, width = draw(st.integers(1, 7)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    probability, parent = np.zeros((n, depth, width)), np.zeros((n, depth, width), np.int64)
    above = np.ones((n, 1))
    for layer in range(depth):
        parent[:, layer] = rng.integers(0, above.shape[1], (n, width))
        chance = rng.choice([0.0, 0.25, 0.5, 0.9, rng.random()], (n, width))
        paths = np.take_along_axis(above, parent[:, layer], axis=1) * chance
        order = np.argsort(-paths, axis=1, kind="stable")
        parent[:, layer] = np.take_along_axis(parent[:, layer], order, axis=1)
        above = probability[:, layer] = np.take_along_axis(paths, order, axis=1)
    need = np.round(rng.normal(1.5, 2, n), 1)
    room = draw(st.integers(0, n * depth * width + 3))
    rule = Selection(need, room, draw(st.integers(1, 8)), draw(st.booleans()), draw(st.booleans()))
    return Drawn(Candidates(probability, parent), rng.integers(0, vocabulary, (n, depth, width)), rule)
