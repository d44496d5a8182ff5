"""What a step will take, by a table that a policy has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def by_table(tokens: NDArray[np.int64] | float, knots: Sequence[float], seconds: Sequence[float]) -> NDArray[np.float64]:
    """Seconds for so many tokens: straight between the knots, the last slope beyond them."""
    slope = (seconds[-1] - seconds[-2]) / (knots[-1] - knots[-2])
    return np.asarray(np.interp(tokens, knots, seconds) + slope * np.maximum(np.asarray(tokens) - knots[-1], 0.0))
