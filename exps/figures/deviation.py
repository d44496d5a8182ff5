"""How far a figure's numbers are from the published ones."""

from __future__ import annotations

import polars as pl

WITHIN = 5.0
WHOLE = "all"


def deviation(ours: pl.DataFrame, published: pl.DataFrame, axis: str, value: str, relative: bool = False) -> pl.DataFrame:
    """Mean absolute errors of ``value``, in its own unit or ``relative`` in percent, at the points that both frames have.

    Frames have model, system, ``axis`` and ``value``. One row a model and system, then one for all: points, mean_error,
    lower_half and upper_half of the published axis, bias (mean signed error), and the share within ``WITHIN`` units.
    """
    key = pl.col(axis).round(6)
    middle = (pl.col(axis).rank("dense").over("model") - 1) * 2 >= pl.col(axis).n_unique().over("model")
    theirs = published.with_columns(key, upper=middle).rename({value: "published"})
    both = ours.with_columns(key).join(theirs, on=["model", "system", axis], maintain_order="left")
    error = pl.col(value) - pl.col("published")
    errors = both.with_columns(error=100 * error / pl.col("published") if relative else error)
    by_system = errors.group_by("model", "system", maintain_order=True).agg(**_summary())
    return pl.concat([by_system, errors.select(model=pl.lit(WHOLE), system=pl.lit(WHOLE), **_summary())], how="vertical")


def _summary() -> dict[str, pl.Expr]:
    error, upper = pl.col("error"), pl.col("upper")
    return {
        "points": pl.len().cast(pl.Int64),
        "mean_error": error.abs().mean(),
        "lower_half": error.abs().filter(~upper).mean(),
        "upper_half": error.abs().filter(upper).mean(),
        "bias": error.mean(),
        "within_5_pct": 100 * (error.abs() <= WITHIN).mean(),
    }
