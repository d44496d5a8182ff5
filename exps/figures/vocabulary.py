"""What claims of several papers say in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from exps.figures.claims import Verdict, verdict
from exps.figures.numbers import Array


def listed(values: Iterable[float], form: str = ",.0f", between: str = ", ") -> str:
    """As in "112, 1,803"."""
    return between.join(format(value, form) for value in values)


def fraction(part: float, whole: float) -> str:
    """As in "340 / 779 = 0.44"."""
    return f"{part:.0f} / {whole:.0f} = {part / whole:.2f}"


def times(larger: float, smaller: float) -> float:
    """How many times larger; infinitely many where the smaller is nothing."""
    return larger / smaller if smaller > 0 else float("inf")


def apart(values: Sequence[float]) -> float:
    """The distance of the largest from the smallest, by the mean."""
    return (max(values) - min(values)) / (sum(values) / len(values))


def off(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest relative distance of ours from theirs."""
    return max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))


def slope(ticks: Array, values: Array) -> tuple[float, float]:
    """Slope and start of the line that fits best."""
    rise, start = np.polyfit(ticks, values, 1)
    return float(rise), float(start)


def bounded(largest: float, bound: float) -> Verdict:
    """Whether it stays below the bound."""
    return verdict(largest < bound, f"largest {largest:,.0f}")


def equal(values: Sequence[float], tolerance: float) -> Verdict:
    """Whether all are the same within the tolerance."""
    return verdict(apart(values) <= tolerance, f"{listed(values)} ({100 * apart(values):.1f} % apart)")


def near(ours: Sequence[float], theirs: Sequence[float], tolerance: float, form: str = ",.0f") -> Verdict:
    """Whether each of ours is theirs within the tolerance."""
    return verdict(off(ours, theirs) <= tolerance, listed(ours, form))


def near_in_all(ours: Sequence[float], theirs: Sequence[float], tolerance: float) -> Verdict:
    """The same, with the largest distance told."""
    return verdict(off(ours, theirs) <= tolerance, f"{listed(ours, '.0f')} ({100 * off(ours, theirs):.1f} % off)")


def ascending(values: Sequence[float], form: str) -> Verdict:
    """Whether each is at least the one before."""
    return verdict(list(values) == sorted(values), listed(values, form, " < "))


def linear(ticks: Array, values: Array, least_r2: float) -> Verdict:
    """Whether the values grow along a line."""
    rise, start = slope(ticks, values)
    spread = float(((values - values.mean()) ** 2).sum())
    explained = 1 - float(((values - start - rise * ticks) ** 2).sum()) / spread if spread else 0.0
    ours = f"{rise:+.0f}/s, R2 {explained:.3f}, {values[-1]:,.0f} at {ticks[-1]:.0f} s"
    return verdict(rise > 0 and explained >= least_r2, ours)
