"""A person's own trace as a timetable."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.workload.checks import Rule, arrival, whole_tokens
from exps.workload.csv_file import Columns, read_csv
from exps.workload.timetable import timetable

COLUMNS = Columns(
    required=("arrival_s", "client", "prompt_tokens", "output_tokens"),
    optional=("app", "slo_tpot_s", "category"),
    numbers=("arrival_s", "prompt_tokens", "output_tokens", "slo_tpot_s"),
)
SLO = pl.col("slo_tpot_s")
RULES = (
    *arrival("arrival_s"),
    Rule("client", pl.col("client").is_not_null(), "a name"),
    whole_tokens("prompt_tokens"),
    whole_tokens("output_tokens"),
    Rule("slo_tpot_s", SLO.is_null() | (SLO.is_finite() & (SLO > 0)), "a positive number of seconds, or empty"),
)


def read_trace_csv(path: Path) -> pl.DataFrame:
    """Read a CSV (plain or gzip) with the columns of ``COLUMNS`` into a timetable.

    Seconds and tokens; an empty optional field is null. Raises InputError with file and line for a missing or unknown
    column, a length that is not a whole number of at least 1, an arrival that is negative, not a number or earlier
    than the row above, an empty file, and a file that cannot be read.
    """
    return timetable(read_csv(path, COLUMNS, RULES).to_dict())
