"""Arrival processes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ModulatedPoisson:
    """A Poisson process that starts slowly and whose rate wanders: Gamma-distributed levels of mean 1, one a bin.

    The defaults describe the first 20 minutes of the conversation trace of Azure's 2023 LLM inference traces, which
    AdaServe's emission files cut and rescale: after the first minute 5.1 requests/s with an index of dispersion of
    counts of 1.2 in 5 s, 1.5 in 20 s and 3.0 in 60 s, which is 1 + rate x bin x cv^2 with cv near 0.08; before that
    1.6 and 2.9 requests/s in the first two 20 s.
    """

    rate_per_s: float = 5.1
    cv: float = 0.08
    bin_s: float = 60.0
    ramp_s: float = 60.0
    ramp_start: float = 0.2

    def draw(self, count: int, levels: np.random.Generator, gaps: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times in seconds of the first ``count`` requests, the first at 0.

        A longer draw from generators of the same seed starts with the shorter one.
        """
        expected = np.cumsum(gaps.exponential(size=count))
        seconds, cumulative = self._intensity(expected[-1], levels)
        times: NDArray[np.float64] = np.interp(expected, cumulative, seconds)
        times -= times[0]
        return times

    def _intensity(self, needed: float, levels: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds, and the requests expected up to each, to beyond ``needed``."""
        horizon = 2 * needed / self.rate_per_s + 2 * self.ramp_s + self.bin_s
        level = levels.gamma(self.cv**-2, self.cv**2, ceil(horizon / self.bin_s))
        seconds = np.arange(level.size * int(self.bin_s), dtype=np.float64)
        ramp = np.minimum(1.0, self.ramp_start + (1 - self.ramp_start) * seconds / self.ramp_s)
        rate = self.rate_per_s * ramp * level[(seconds // self.bin_s).astype(int)]
        return np.append(seconds, seconds.size), np.append(0.0, np.cumsum(rate))


def index_of_dispersion(arrival_s: NDArray[np.float64], bin_s: float, duration_s: float) -> float:
    """Variance over mean of the counts in bins of ``bin_s``: 1 for a Poisson process of constant rate."""
    counts, _ = np.histogram(arrival_s, bins=np.arange(0.0, duration_s + bin_s / 2, bin_s))
    return float(counts.var(ddof=1) / counts.mean())
