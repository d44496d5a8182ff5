"""The file of FairServe's artifact itself, as its client replays it; and which file of a folder is the trace."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.errors import InputError
from exps.workload.checks import Rule, arrival
from exps.workload.csv_file import Columns, read_csv
from exps.workload.fairserve import APP_LIMIT, production_timetable
from exps.workload.timetable import EXPECTED, timetable

TRACE = "production_9241.csv"
RAW = "downsampled_data_10000_rows_first_arrivals.csv"
SCALE, LONGEST = 8, 2000
USED = (
    "PromptTokens", "DecodeTokens", "UserID", "app", "llmcalls", "llmcalls_made", "interaction_id", "input_avg_app",
    "output_avg_app", "sys_avg_app", "ArrivalTime",
)
OTHERS = (
    "", "Unnamed: 0.1", "Unnamed: 0", "TIMESTAMP", "input_99_app", "output_99_app", "sys_99_app", "input_min_app",
    "output_min_app", "sys_min_app", "input_max_app", "output_max_app", "sys_max_app",
)
COLUMNS = Columns(USED, OTHERS, tuple(name for name in USED if name not in ("UserID", "app")))


def raw_timetable(path: Path, app_limit: int = APP_LIMIT) -> pl.DataFrame:
    """The artifact's file, plain or gzip, as a timetable.

    As its client does, prompts and answers are an eighth, rounded up and at least 1 token, requests of 2,000 tokens or more
    are left out, and expectations are the applications' means, whole, at least 1 and not divided. System prompts are 0 in
    the file. It has one client for the 22 that shared interaction 43233, whose calls are therefore numbered anew.
    Raises InputError with file and line for whatever is not such a file.
    """
    rows = read_csv(path, COLUMNS, _rules())
    eighth = ((pl.col("PromptTokens", "DecodeTokens") + SCALE - 1) // SCALE).clip(1).cast(pl.Int64)
    means = pl.col("input_avg_app", "sys_avg_app", "output_avg_app").floor().clip(1)
    kept = rows.with_columns(eighth, means).filter(pl.col("PromptTokens") + pl.col("DecodeTokens") < LONGEST)
    same = pl.struct("UserID", "interaction_id", "llmcalls_made")
    twice = same.is_duplicated().any().over("UserID", "interaction_id")
    anew = pl.int_range(pl.len()).over("UserID", "interaction_id")
    kept = kept.with_columns(llmcalls_made=pl.when(twice).then(anew).otherwise(pl.col("llmcalls_made")))
    return timetable(
        {
            "arrival_s": kept["ArrivalTime"],
            "client": "client-" + kept["UserID"],
            "prompt_tokens": kept["PromptTokens"],
            "output_tokens": kept["DecodeTokens"],
            "app": "app-" + kept["app"],
            "interaction": kept["interaction_id"],
            "call": kept["llmcalls_made"] + 1,
            "calls": kept["llmcalls"],
            "system_tokens": [0] * kept.height,
            "app_limit": [app_limit] * kept.height,
            **dict(zip(EXPECTED, (kept[name] for name in ("input_avg_app", "sys_avg_app", "output_avg_app")), strict=True)),
        }
    )


def trace_timetable(folder: Path) -> pl.DataFrame:
    """The timetable of the trace in ``folder``, in either form. InputError when there is none."""
    for name, read in ((TRACE, production_timetable), (RAW, raw_timetable)):
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return read(path)
    raise InputError(f"No {TRACE}[.gz] and no {RAW}[.gz] in {folder}; name the trace's folder, or leave --traces out.")


def _rules() -> tuple[Rule, ...]:
    lengths = (Rule(name, pl.col(name).is_finite() & (pl.col(name) >= 0), "a number of at least 0")
               for name in ("PromptTokens", "DecodeTokens", "input_avg_app", "output_avg_app", "sys_avg_app"))
    made = pl.col("llmcalls_made").is_between(0, pl.col("llmcalls") - 1)
    return (
        *arrival("ArrivalTime"),
        *(Rule(name, pl.col(name).is_not_null(), "a name") for name in ("UserID", "app")),
        *lengths,
        Rule("interaction_id", pl.col("interaction_id") >= 0, "a number of at least 0"),
        Rule("llmcalls_made", made, "a number from 0 to llmcalls - 1"),
    )
