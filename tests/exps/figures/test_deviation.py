"""The distance to published values, on hand-made frames."""

from __future__ import annotations

import polars as pl
import pytest

from exps.figures.deviation import deviation


def frame(values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"model": "m", "system": "s", "rps": [1.0, 2.0, 3.0, 4.0], "y": values})


def test_errors_by_half_and_their_sign() -> None:
    found = deviation(frame([10, 20, 30, 40]), frame([11, 23, 30, 30]), "rps", "y")
    row = found.row(0, named=True)
    assert (row["points"], row["mean_error"], row["lower_half"], row["upper_half"]) == (4, 3.5, 2.0, 5.0)
    assert row["bias"] == pytest.approx(1.5) and row["within_5_pct"] == 75
    assert found.row(1)[:3] == ("all", "all", 4)


def test_halves_follow_the_published_axis_even_when_ours_is_partial() -> None:
    found = deviation(frame([10, 20, 30, 40]).filter(pl.col("rps") > 2), frame([11, 23, 30, 30]), "rps", "y")
    assert found.row(0, named=True)["lower_half"] is None and found.row(0, named=True)["points"] == 2
