"""Recorded runs of FairServe's artifact: a folder with index.csv and one csv.gz a run, whose rows are the same requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from engine.errors import InputError
from exps.metrics.statuses import FINISHED
from exps.recorded.recordings import read_table
from exps.workload.fairserve import APP_LIMIT
from exps.workload.fairserve_drawn import APPLICATIONS
from exps.workload.timetable import EXPECTED, timetable

INDEX_COLUMNS = ("run", "recorded_as", "scheduler", "user_limit")
RUN_COLUMNS = ("user", "app", "interaction", "llmcalls", "llmcalls_made", "prompt_tokens", "output_tokens", "send_time_s",
               "first_token_latency_s", "request_latency_s")
SEND_GAP_S = 0.0011
FLAWS = "lift_from_empty=false,duplicate_charge=true"
SYSTEMS = {
    "vtc_fair": f"vtc,order=vtc({FLAWS})",
    "lshare_fair": "rpm-interactions",
    "fs_fair_interaction_limit_expect": "fairserve,order=fairserve(lift_from_empty=false,drop_ends_pass=true)",
    "fs_fair_odt_wsc_limit": f"fairserve,order=fairserve(charge=ratio,prefer=false,drop=any,{FLAWS},drop_ends_pass=true)",
}


@dataclass(frozen=True)
class FairServeRun:
    """One recorded run: the ``system`` that ran, with the artifact's flaws, and the limit of requests a minute.

    ``requests`` are in the columns of records (exps.run.recorder); an aborted request has status "aborted". Requests of one
    second were sent one after the other, ``SEND_GAP_S`` apart: with that gap the first tokens of a prefill coincide.
    """

    name: str
    scheduler: str
    system: str
    limit: int | None
    requests: pl.DataFrame

    @property
    def total_s(self) -> float:
        """From the start of the run to its last answer."""
        return float(self.requests["finished_s"].max())  # type: ignore[arg-type]

    def timetable(self) -> pl.DataFrame:
        """What was sent, when."""
        rows = self.requests
        names = ("arrival_s", "client", "prompt_tokens", "output_tokens", "app", "interaction", "call", "calls", *EXPECTED)
        return timetable({**{name: rows[name] for name in names}, "system_tokens": [0] * rows.height,
                          "app_limit": [APP_LIMIT] * rows.height})

    def served_as(self, requests: pl.DataFrame) -> FairServeRun:
        """The run with other outcomes of the requests that were sent."""
        return replace(self, requests=requests.with_columns(output_tokens=self.requests["output_tokens"]))


def is_recorded_here(folder: Path) -> bool:
    """Whether the folder's index is one of FairServe's runs."""
    try:
        with (folder / "index.csv").open() as file:
            return set(INDEX_COLUMNS) <= set(file.readline().strip().split(","))
    except (OSError, UnicodeDecodeError):
        return False


def read_recordings(folder: Path) -> list[FairServeRun]:
    """Every run of the folder's index, in its order. InputError names the file that is missing or malformed.

    The ablation's runs recorded one application for all requests and calls of an older numbering, in which two calls of an
    interaction may have one number. So calls, and the applications that expectations go by, are the first run's;
    expectations are the applications' means, which the main runs used (the ablation's used 99th percentiles, not kept).
    """
    index = read_table(folder / "index.csv", INDEX_COLUMNS)
    runs = [(row, read_table(folder / f"{row['run']}.csv.gz", RUN_COLUMNS)) for row in index.iter_rows(named=True)]
    usual = pl.read_csv(APPLICATIONS).select("app", "expected_input", "expected_output")
    first = runs[0][1].select("app", "llmcalls", "llmcalls_made").join(usual, on="app", how="left", maintain_order="left")
    found = []
    for row, rows in runs:
        if row["scheduler"] not in SYSTEMS:
            known = ", ".join(SYSTEMS)
            raise InputError(f"{folder}/index.csv: scheduler {row['scheduler']!r} is not one of {known}; drop its row.")
        if rows.height != first.height or first["expected_input"].null_count():
            raise InputError(f"{folder}: the runs are not of the same {first.height} requests; name a whole folder.")
        limit = None if row["user_limit"] < 0 else int(row["user_limit"])
        found.append(FairServeRun(row["run"], row["scheduler"], SYSTEMS[row["scheduler"]], limit, _records(rows, first)))
    return found


def _records(rows: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    """A run's rows as records, with calls and expectations of ``first``."""
    sent = pl.col("send_time_s") + SEND_GAP_S * pl.int_range(pl.len()).over("send_time_s")
    served = pl.col("request_latency_s") >= 0
    return rows.select(
        client="client-" + pl.col("user").cast(pl.String),
        app="app-" + pl.col("app").cast(pl.String),
        interaction="interaction",
        prompt_tokens="prompt_tokens",
        output_tokens="output_tokens",
        status=pl.when(served).then(pl.lit("finished")).otherwise(pl.lit("aborted")),
        arrival_s=sent,
        first_token_s=pl.when(served).then(sent + pl.col("first_token_latency_s")),
        finished_s=pl.when(served).then(sent + pl.col("request_latency_s")),
    ).with_columns(
        call=first["llmcalls_made"],
        calls=first["llmcalls"],
        expected_input=first["expected_input"].cast(pl.Float64),
        expected_system=pl.lit(1.0),
        expected_output=first["expected_output"].cast(pl.Float64),
        system_tokens=pl.lit(0, pl.Int64),
    )


def overtaking(requests: pl.DataFrame, apart_s: float = 0.04) -> float:
    """How far ahead of a request, in order of sending, the furthest request is that was prefilled with or before it: the
    mean over served requests. First tokens less than ``apart_s`` apart came from one prefill."""
    served = requests.with_row_index("row").drop_nulls("first_token_s").sort("first_token_s")
    row, first = served["row"].to_numpy().astype(np.int64), served["first_token_s"].to_numpy()
    batch = np.concatenate([[0], np.cumsum(np.diff(first) > apart_s)])
    row = row[np.lexsort((row, batch))]
    return float((np.maximum.accumulate(row) - row).mean())


def decode_step_s(requests: pl.DataFrame) -> float:
    """Median seconds between the tokens of answers of 4 to 11, most of which end before the next prefill."""
    gaps = pl.col("output_tokens") - 1
    short = requests.filter(FINISHED & pl.col("output_tokens").is_between(4, 11))
    return float(short.select(((pl.col("finished_s") - pl.col("first_token_s")) / gaps).median()).item())

