"""Jain's index of fairness, plain and as ExFairS's artifact has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Values = Sequence[float] | npt.NDArray[np.floating[Any]]


def jain(values: Values) -> float | None:
    """(sum x)^2 / (n * sum x^2) of values from 0 on: 1 when all are equal, 1 / n when one has everything.

    None when all are 0, or there are none: nothing was shared, be it equally or not.
    """
    x = np.asarray(values, dtype=np.float64)
    largest = x.max(initial=0.0)
    if largest == 0:
        return None
    shares = x / largest
    return float(shares.sum()) ** 2 / (x.size * float(np.square(shares).sum()))


def min_max_jain(values: Values, smaller_is_better: bool = False) -> float:
    """The index of the values' places between the smallest, 0, and the largest, 1; 1 - x where smaller is better.

    1 when all are equal. It sees relative spread only: any two unequal values give 0.5 (ExFairS's artifact).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return 0.0
    low, high = x.min(), x.max()
    if low == high:
        return 1.0
    places = (x - low) / (high - low)
    return jain(1 - places if smaller_is_better else places) or 0.0
