"""How far a figure's numbers are from AdaServe's published ones."""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from exps.papers.adaserve.pictures import GOODPUT, PUBLISHED

RELATIVE = {GOODPUT.column}
"""What is told in percent of the published value; all else in its own unit."""


def distance_to(
    figure: str, axis: str, *columns: str, published: str | None = None, without: Collection[tuple[str, str]] = ()
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The distance of each of the columns from published/``figure``.csv over ``axis``.

    ``without`` are models and systems whose published values contradict other figures.
    """

    def distance(metrics: pl.DataFrame) -> pl.DataFrame:
        from exps.figures.deviation import deviation
        from exps.figures.published import read_published

        theirs = read_published("adaserve", figure)
        for model, system in without:
            theirs = theirs.filter((pl.col("model") != model) | (pl.col("system") != system))
        parts = []
        for column in columns:
            named = theirs.rename({published or PUBLISHED[column]: column})
            found = deviation(metrics, named, axis, column, column in RELATIVE)
            parts.append(found.insert_column(0, pl.lit(column).alias("metric")))
        return pl.concat(parts)

    return distance
