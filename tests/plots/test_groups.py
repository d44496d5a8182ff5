"""Grouped bars: what is in the frames is in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from plots.groups import grouped_bars

ROWS = pl.DataFrame(
    {"panel": ["a"] * 4, "group": ["x", "x", "y", "y"], "series": ["vtc", "fcfs"] * 2, "value": [1.0, 200.0, 3.0, 0.0]}
)


def bars(path: Path, ours: pl.DataFrame = ROWS, published: pl.DataFrame | None = None, **more: Any) -> bytes:
    _, png = grouped_bars(ours, published, panels={"a": "Counts"}, labels={"vtc": "VTC"}, x="Groups", path=path, **more)
    return png.read_bytes()


def test_the_same_rows_give_the_same_picture_and_others_another(tmp_path: Path) -> None:
    first = bars(tmp_path / "a")
    assert bars(tmp_path / "b") == first
    assert bars(tmp_path / "c", ROWS.with_columns(value=pl.col("value") + 50)) != first
    assert bars(tmp_path / "d", symlog=True) != first


def test_ranges_and_published_values_are_drawn_where_they_are_given(tmp_path: Path) -> None:
    first = bars(tmp_path / "a")
    assert bars(tmp_path / "b", ROWS.with_columns(low=pl.col("value") * 0.5, high=pl.col("value") * 2)) != first
    published = ROWS.with_columns(value=pl.col("value") + 20)
    marked = bars(tmp_path / "c", published=published)
    elsewhere = pl.concat([published, published.with_columns(group=pl.lit("z"))])
    assert marked != first and bars(tmp_path / "d", published=elsewhere) == marked
