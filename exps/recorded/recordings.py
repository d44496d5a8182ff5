"""Recorded runs of VTC's artifact: a folder with index.csv and one csv.gz a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from engine.errors import InputError
from exps.workload.timetable import timetable

INDEX_COLUMNS = ("run", "duration_s", "committed_on")
RUN_COLUMNS = ("client", "prompt_tokens", "output_tokens", "send_time_s", "first_token_latency_s", "request_latency_s")
EXTRA_PROMPT_TOKENS = 2


@dataclass(frozen=True)
class Recording:
    """One recorded run. ``requests`` has RUN_COLUMNS; latencies of aborted requests are -1."""

    name: str
    duration_s: float
    committed_on: str
    requests: pl.DataFrame

    @property
    def total_s(self) -> float:
        """From the start of the run to the last answer, the backlog's drain included."""
        return float(self.requests.select((pl.col("send_time_s") + pl.col("request_latency_s")).max()).item())

    def records(self) -> pl.DataFrame:
        """The run in the columns that metrics read; an aborted request counts as rejected."""
        send = pl.col("send_time_s")
        served = pl.col("request_latency_s") >= 0
        return self.requests.select(
            pl.col("client").cast(pl.String),
            "prompt_tokens",
            "output_tokens",
            status=pl.when(served).then(pl.lit("finished")).otherwise(pl.lit("rejected")),
            arrival_s=send,
            first_token_s=pl.when(served).then(send + pl.col("first_token_latency_s")),
            finished_s=pl.when(served).then(send + pl.col("request_latency_s")),
            slo_tpot_s=pl.lit(None, pl.Float64),
            steps=pl.lit(0, pl.Int64),
            drafted_tokens=pl.lit(0, pl.Int64),
            accepted_tokens=pl.lit(0, pl.Int64),
            preemptions=pl.lit(0, pl.Int64),
        )

    def timetable(self) -> pl.DataFrame:
        """The recorded arrivals and lengths. The server's tokenizer added two tokens to every prompt."""
        rows = self.requests
        return timetable(
            {
                "arrival_s": rows["send_time_s"],
                "client": rows["client"].cast(pl.String),
                "prompt_tokens": rows["prompt_tokens"] + EXTRA_PROMPT_TOKENS,
                "output_tokens": rows["output_tokens"],
            }
        )


@dataclass(frozen=True)
class Environment:
    """What a run was recorded on. ``system`` None: not built yet; ``label`` names it all the same."""

    label: str
    system: str | None
    model: str
    hardware: str
    kv_tokens: int
    calibration: str


_ARTIFACT_VTC = "lift_from_empty=false"
_WEIGHTS = "0:1;1:2;2:3;3:4"
_VTC_FAMILY = {
    "vtc": "",
    "vtc-weighted": f",weights={_WEIGHTS}",
    "vtc-profile": ",cost=profiled",
    "vtc-oracle": ",predict=oracle",
    "vtc-pred-50": ",predict=oracle,spread=0.5",
    "vtc-predict": ",predict=mean",
    "lcf": ",lift=false",
}
_DUPLICATE_CHARGE_SINCE = "2024-06-06"
_SECOND_SESSION_SINCE = "2024-01-01"

SYSTEMS: tuple[tuple[str, str], ...] = (
    (r"^(vtc_)?weighted", "vtc-weighted"),
    (r"profile", "vtc-profile"),
    (r"^vtc_oracle", "vtc-oracle"),
    (r"^vtc_(len_)?predict", "vtc-predict"),
    (r"^vtc_pred", "vtc-pred-50"),
    (r"^vtc_max", "vtc-max"),
    (r"^lcf", "lcf"),
    (r"^(rpm|lshare)", "rpm"),
    (r"^m?drr", "drr"),
    (r"^(fcfs|slora)", "fcfs"),
    (r"^vtc", "vtc"),
)


def environment(name: str, committed_on: str) -> Environment:
    """What the run called ``name`` was recorded on: the one place that knows."""
    label = next((label for pattern, label in SYSTEMS if re.search(pattern, name)), name)
    system = _system(label, name, committed_on >= _DUPLICATE_CHARGE_SINCE)
    session = "session-2024" if committed_on >= _SECOND_SESSION_SINCE else "session-2023"
    pool = re.search(r"pool_?(\d+)", name)
    if pool or re.search(r"(^|_)s4(_|$)", name):
        kv_tokens = int(pool[1]) if pool else 65000
        return Environment(label, system, "llama-2-13b", "a100-80g", kv_tokens, "session-2023")
    return Environment(label, system, "llama-2-7b", "a10g", 10000, session)


def _system(label: str, name: str, duplicate_charge: bool) -> str | None:
    """The composition that ran under a label, with the artifact's deviations; None for one that is not built."""
    if label in _VTC_FAMILY:
        twice = ",duplicate_charge=true" * duplicate_charge
        return f"batch=slora,order=vtc({_ARTIFACT_VTC}{twice}{_VTC_FAMILY[label]})"
    if label == "rpm" and (limit := re.search(r"^(?:rpm|lshare)\D*(\d+)", name)):
        return f"batch=slora,order=rpm(limit={limit[1]})"
    return {"fcfs": "fcfs", "drr": "drr"}.get(label)


def read_recordings(folder: Path) -> list[Recording]:
    """Every run of ``folder``'s index, in its order. InputError names the file that is missing or malformed."""
    index = read_table(folder / "index.csv", INDEX_COLUMNS)
    return [
        Recording(row["run"], float(row["duration_s"]), str(row["committed_on"]), _read_run(folder, row["run"]))
        for row in index.iter_rows(named=True)
    ]


def read_workload(folder: Path, runs: Sequence[str]) -> pl.DataFrame:
    """The timetable of the first of ``runs`` that the folder has. InputError when it has none."""
    name = next((name for name in runs if (folder / f"{name}.csv.gz").is_file()), None)
    if name is None:
        files = " or ".join(f"{run}.csv.gz" for run in runs)
        raise InputError(f"No {files} in {folder}; name the folder of recorded runs, or leave --traces out.")
    return Recording(name, 0.0, "", _read_run(folder, name)).timetable()


def _read_run(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.csv.gz"
    rows = read_table(path, RUN_COLUMNS)
    if rows.is_empty():
        raise InputError(f"{path}: no requests; record the run again or drop it from index.csv.")
    try:
        rows = rows.with_columns(pl.col(RUN_COLUMNS[1:3]).cast(pl.Int64), pl.col(RUN_COLUMNS[3:]).cast(pl.Float64))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}; lengths and seconds are numbers.") from error
    bad = rows.filter(
        (pl.col("prompt_tokens") < 1) | (pl.col("output_tokens") < 1) | ~pl.col("send_time_s").is_finite()
        | (pl.col("send_time_s") < 0) | pl.any_horizontal(pl.col(RUN_COLUMNS).is_null())
    )
    if not bad.is_empty():
        raise InputError(f"{path}: a malformed request {bad.row(0)}; record the run again or drop it from index.csv.")
    return rows.sort("send_time_s", maintain_order=True)


def read_table(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """A file of a recorded folder. InputError where it cannot be read or lacks one of ``columns``."""
    try:
        frame = pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}; a recorded folder has index.csv and RUN.csv.gz.") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing; it has {', '.join(frame.columns)}.")
    return frame
