"""How long first tokens take over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[np.floating[Any]]


def mean_ttft_s(requests: pl.DataFrame, ticks_s: Array, window_s: float = 60.0) -> Array:
    """Mean TTFT of the requests whose first token came in the window centred on each tick; NaN where none did."""
    served = requests.filter(pl.col("first_token_s").is_not_null()).sort("first_token_s")
    first = served["first_token_s"].to_numpy()
    sums = np.concatenate([[0.0], np.cumsum(first - served["arrival_s"].to_numpy())])
    begin, end = (np.searchsorted(first, ticks_s + side * window_s / 2) for side in (-1, 1))
    means: Array = np.divide(sums[end] - sums[begin], end - begin, out=np.full(len(ticks_s), np.nan), where=end > begin)
    return means
