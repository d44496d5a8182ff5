"""A person's own trace as a timetable."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.workload.checks import MAX_TOKENS, Rule, arrival, or_empty, positive, whole_tokens
from exps.workload.clock import check_seconds
from exps.workload.csv_file import Columns, read_csv
from exps.workload.timetable import EXPECTED, timetable

INTERACTION = ("interaction", "call", "calls")
COLUMNS = Columns(
    required=("arrival_s", "client", "prompt_tokens", "output_tokens"),
    optional=("request", "app", "category", "adapter", "slo_tpot_s", "slo_s", "patience_s", *INTERACTION, *EXPECTED,
              "system_tokens", "app_limit"),
    numbers=("arrival_s", "prompt_tokens", "output_tokens", "slo_tpot_s", "slo_s", "patience_s", *INTERACTION, *EXPECTED,
             "system_tokens", "app_limit"),
    together=(INTERACTION, EXPECTED),
)
SECONDS = "a positive number of seconds, or empty"
OF_ONE = ("client", "interaction")
ALONE = pl.col("interaction").is_null()
RULES = (
    *arrival("arrival_s"),
    Rule("client", pl.col("client").is_not_null(), "a name"),
    whole_tokens("prompt_tokens"),
    whole_tokens("output_tokens"),
    Rule("request", pl.col("request").is_not_null() & pl.col("request").is_first_distinct(), "an id that no row above has"),
    *(Rule(name, or_empty(name, positive(name)), SECONDS) for name in ("slo_tpot_s", "slo_s", "patience_s")),
    *(Rule(name, or_empty(name, positive(name)), "a number of tokens above 0, or empty") for name in EXPECTED),
    *(Rule(name, or_empty(name, pl.col(name).is_between(0, MAX_TOKENS) & (pl.col(name) == pl.col(name).floor())),
           f"a whole number from 0 to {MAX_TOKENS:,}, or empty") for name in ("interaction", "system_tokens", "app_limit")),
    Rule("call", ALONE | (pl.col("call").is_between(1, "calls") & (pl.col("call") == pl.col("call").floor())),
         "a whole number from 1 to calls"),
    Rule("call", ALONE | pl.struct(*OF_ONE, "call").is_first_distinct(),
         "a call of the client's interaction that is in no row above"),
    Rule("calls", ALONE | (pl.col("call").n_unique().over(OF_ONE) == pl.col("calls")),
         "the number of calls that this client has in this interaction in the file: some are missing, or another client's"),
)


def read_trace_csv(path: Path) -> pl.DataFrame:
    """Read a CSV (plain or gzip) with the columns of ``COLUMNS`` into a timetable.

    Seconds and tokens; an empty optional field is null. ``request`` is an id of your own, held to be unique and not kept;
    an interaction's number is its client's own. Raises InputError with file and line for a missing or unknown column, a
    length that is not a whole number of at least 1, an arrival that is negative, not a number or earlier than the row
    above, arrivals that cannot be seconds, an id or call that is there twice, an interaction with missing calls, an
    empty file, and a file that cannot be read.
    """
    frame = read_csv(path, COLUMNS, RULES).drop("request", strict=False)
    check_seconds(frame["arrival_s"], path)
    return timetable(frame.to_dict())
