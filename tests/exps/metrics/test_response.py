"""Mean TTFT in windows, beside a plain count."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exps.metrics.response import mean_ttft_s


def plain(frame, tick, window_s):
    begin, end = tick - window_s / 2, tick + window_s / 2
    pairs = frame.select("first_token_s", "arrival_s").rows()
    waits = [first - came for first, came in pairs if first is not None and begin <= first < end]
    return sum(waits) / len(waits) if waits else float("nan")


@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 20))), min_size=1, max_size=15))
def test_windows_hold_the_first_tokens_that_fall_in_them(spans):
    first = [None if wait is None else float(came + wait) for came, wait in spans]
    came = [float(came) for came, _ in spans]
    frame = pl.DataFrame({"arrival_s": came, "first_token_s": pl.Series(first, dtype=pl.Float64)})
    ticks = np.arange(0.0, 60.0, 5.0)
    expected = [plain(frame, tick, 10.0) for tick in ticks]
    assert mean_ttft_s(frame, ticks, 10.0).tolist() == pytest.approx(expected, nan_ok=True)
