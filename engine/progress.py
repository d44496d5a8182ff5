"""What a speculation policy sees of the requests that decode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.request import Request


@dataclass(frozen=True, slots=True)
class Progress:
    """How far each of n requests is: a row a request, read and not changed.

    Arrays of length n, in tokens: ``context`` in the target's KV cache, ``generated`` of the answer, ``drafted`` and
    ``accepted`` draft tokens so far. ``latency_s`` since the first token, ``slo_tpot_s`` (inf: no SLO).
    """

    requests: Sequence[Request]
    context: NDArray[np.int64]
    generated: NDArray[np.int64]
    drafted: NDArray[np.int64]
    accepted: NDArray[np.int64]
    latency_s: NDArray[np.float64]
    slo_tpot_s: NDArray[np.float64]

    @classmethod
    def fresh(cls, n: int) -> Progress:
        """``n`` equal requests that have their first token, without SLOs."""
        ones, zeros = np.ones(n, np.int64), np.zeros(n, np.int64)
        requests = [Request(id, f"client-{id}", 1, 2, 0.0) for id in range(n)]
        return cls(requests, ones, ones, zeros, zeros, np.zeros(n), np.full(n, np.inf))

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def decoded(self) -> NDArray[np.int64]:
        """Tokens after the first, which the prefill produces: TPOT is ``latency_s`` over these, here and in the metrics."""
        return self.generated - 1
