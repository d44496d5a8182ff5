"""From the times that a person wrote to seconds from the first arrival."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.errors import InputError

EPOCH_FROM = {"nanoseconds": (1e17, "1e9"), "microseconds": (1e14, "1e6"), "milliseconds": (1e11, "1e3")}
YEAR_S = 366 * 86_400.0


def check_seconds(arrivals: pl.Series, path: Path) -> None:
    """InputError where sorted times cannot be seconds: they would lie after the year 5000, or span more than a year.

    Seconds since 1970 are seconds.
    """
    first, last = float(arrivals[0]), float(arrivals[-1])
    for unit, (least, divisor) in EPOCH_FROM.items():
        if first >= least:
            raise InputError(f"{path}, line 2: {arrivals.name} looks like {unit} since 1970: divide by {divisor}.")
    if last - first > YEAR_S:
        raise InputError(
            f"{path}: {arrivals.name} spans {(last - first) / YEAR_S:,.1f} years as seconds; it looks like milliseconds,"
            " microseconds or nanoseconds: divide by 1e3, 1e6 or 1e9, or cut the trace to a year."
        )


def from_first_arrival(timetable: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """The timetable on a clock that starts at its first arrival, and when that was."""
    first = float(timetable["arrival_s"][0])
    return timetable.with_columns(pl.col("arrival_s") - first), first
