"""Numbers that a paper or its artifact reports; never ours."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.errors import InputError


def read_published(paper: str, name: str) -> pl.DataFrame:
    """The published values of ``exps/papers/<paper>/published/<name>.csv``; columns and units are in the README beside it."""
    folder = Path(__file__).parents[1] / "papers" / paper / "published"
    path = folder / f"{name}.csv"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.csv"))) or "nothing"
        raise InputError(f"No published values {name!r} of {paper!r}; there is {there}.")
    return pl.read_csv(path)
