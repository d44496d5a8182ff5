"""What AdaServe's evaluation varies: rates, the share of urgent requests, their SLO, the cap of answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

TRACE_S = 360.0
CAP = 256


@dataclass(frozen=True)
class Category:
    """``slo_ratio`` above 0 is a multiple of the baseline latency, below 0 minus the milliseconds a token. ``share`` of the
    requests; ``peak_s``: when the fluctuating load has most of it; ``characters`` a token of its prompts."""

    name: str
    slo_ratio: float
    share: float
    peak_s: float
    characters: float


CATEGORIES = (
    Category("coding", 1.2, 0.6, 180.0, 3.33),
    Category("chat", -50.0, 0.2, 90.0, 4.93),
    Category("summarization", -150.0, 0.2, 270.0, 5.00),
)
"""``characters``: mean prompt in the file of Figure 14, which counts characters, over that in Figure 8's of 4.0 requests/s,
which counts tokens of texts of the same data sets."""


@dataclass(frozen=True)
class Load:
    """One workload: a share of ``urgent`` requests is coding, the others halve the rest; ``slo_scale``: coding's SLO over the
    baseline latency.

    ``folder`` and ``file`` name it in the artifact. A ``fluctuating`` load has three peaks of 4 requests/s, one a category
    (Figure 13), instead of a rate, and its file counts prompts in characters.
    """

    rps: float = 4.0
    urgent: float = CATEGORIES[0].share
    slo_scale: float = CATEGORIES[0].slo_ratio
    cap: int = CAP
    folder: str = "fig8,9"
    file: str = ""
    fluctuating: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.urgent < 1:
            raise InputError(f"a share of {self.urgent:g} urgent requests is no mix; it must be above 0 and below 1.")
        if not 0 < self.slo_scale < 999:
            raise InputError(f"an SLO of {self.slo_scale:g} x the baseline latency is none; it must be above 0 and below 999.")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the categories, in their order."""
        if self.urgent == CATEGORIES[0].share:
            return tuple(category.share for category in CATEGORIES)
        return (self.urgent, (1 - self.urgent) / 2, (1 - self.urgent) / 2)

    @property
    def ratios(self) -> tuple[float, ...]:
        """``slo_ratio`` of the categories."""
        return (self.slo_scale, *(category.slo_ratio for category in CATEGORIES[1:]))


def of_rate(rps: float, cap: int = CAP) -> Load:
    """Figures 8, 9 and 12."""
    digits = f"{rps:.1f}" if round(rps, 1) == round(rps, 9) else f"{rps:g}"
    return Load(rps, cap=cap, file=f"rps{digits}_ol{cap}")


def of_urgent(share: float, cap: int = CAP) -> Load:
    """Figure 10, at 4 requests/s."""
    return Load(urgent=share, cap=cap, folder="fig10", file=f"rps4.0_prop{share:g}")


def of_slo_scale(scale: float, cap: int = CAP) -> Load:
    """Figure 11, at 4 requests/s."""
    return Load(slo_scale=scale, cap=cap, folder="fig11", file=f"slo{scale:.1f}_ol{cap}")


def fluctuating(cap: int = CAP) -> Load:
    """Figures 13 and 14."""
    return Load(cap=cap, folder="fig14", file="fluc_6m_peak4.0", fluctuating=True)


def overhead(cap: int = 128) -> Load:
    """Figure 15."""
    return replace(of_rate(3.6, cap), folder="fig15")


@dataclass(frozen=True)
class AnswerLengths:
    """True answer lengths: the cap with probability ``at_cap``, else uniform from ``shortest`` to the cap.

    The traces do not hold them; this form agrees with the published goodput per attained request.
    """

    cap: int = CAP
    shortest: int = 32
    at_cap: float = 0.55

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """``count`` lengths in tokens; two draws a request, so that a longer draw starts with the shorter one."""
        capped, uniform = rng.random((count, 2)).T
        shortest = min(self.shortest, self.cap)
        shorter = shortest + np.floor(uniform * (self.cap - shortest + 1)).astype(np.int64)
        return np.where(capped < self.at_cap, self.cap, shorter)


def requests_at(rps: float) -> int:
    """Requests in 360 s at a nominal rate: to the nearest 100, so that neighbouring rates may share one count."""
    return max(100, round(rps * TRACE_S / 100) * 100)


def kinds_of(quantile: NDArray[np.float64], shares: tuple[float, ...]) -> NDArray[np.intp]:
    """Numbers of categories that have these shares."""
    return np.searchsorted(np.cumsum(shares)[:-1], quantile, "right")


def generators(seed: int) -> list[np.random.Generator]:
    """Independent streams for the arrival rate, the arrivals, the categories, the prompts and the answers."""
    return [np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(5)]
