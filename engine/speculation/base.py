"""The contract of a speculation policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.plan import Candidates, DraftShape, TokenTrees


@dataclass(frozen=True, slots=True)
class Progress:
    """How far each of n requests is with its SLO: ``latency_s`` of decoding so far, ``tokens`` produced, ``slo_tpot_s``.

    Arrays of length n; ``slo_tpot_s`` is inf where there is no SLO.
    """

    latency_s: NDArray[np.float64]
    tokens: NDArray[np.int64]
    slo_tpot_s: NDArray[np.float64]


class Speculation(ABC):
    """Chooses the shape of the draft before a step, and the nodes to verify after it."""

    @abstractmethod
    def shape(self, requests: int) -> DraftShape | None:
        """Depth, width and verification budget for so many active requests. None means no speculation this step."""

    @abstractmethod
    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        """The nodes to verify. Roots are always verified and are not part of the candidates."""
