"""The timetable: what arrives when, made once and used for every system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

SCHEMA = pl.Schema(
    {
        "arrival_s": pl.Float64(),
        "client": pl.String(),
        "prompt_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "slo_tpot_s": pl.Float64(),
        "category": pl.String(),
        "app": pl.String(),
        "interaction": pl.Int64(),
        "call": pl.Int64(),
        "adapter": pl.String(),
        "prompt": pl.Int64(),
        "calls": pl.Int64(),
        "system_tokens": pl.Int64(),
        "app_limit": pl.Int64(),
        "slo_s": pl.Float64(),
        "expected_input": pl.Float64(),
        "expected_system": pl.Float64(),
        "expected_output": pl.Float64(),
        "patience_s": pl.Float64(),
    }
)
EXPECTED = ("expected_input", "expected_system", "expected_output")
REQUIRED = ("arrival_s", "client", "prompt_tokens", "output_tokens")


def timetable(columns: Mapping[str, Any]) -> pl.DataFrame:
    """One row a request from columns of equal length, sorted by arrival; equal arrivals keep their order.

    Seconds from the start of the run and tokens; ``prompt`` is the number of a held-out text whose first tokens are the
    prompt, for executors that compute tokens. Columns outside ``REQUIRED`` may be left out and are then null.
    Raises ValueError for an unknown or missing column and whatever ``check_timetable`` finds.
    """
    unknown = [name for name in columns if name not in SCHEMA]
    missing = [name for name in REQUIRED if name not in columns]
    if unknown or missing:
        raise ValueError(f"timetable: unknown columns {unknown}, missing columns {missing}")
    frame = pl.DataFrame({name: columns[name] for name in SCHEMA if name in columns})
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in columns]
    frame = frame.with_columns(absent).select(SCHEMA.names()).cast(SCHEMA)
    frame = frame.sort("arrival_s", maintain_order=True)
    check_timetable(frame)
    return frame


def check_timetable(frame: pl.DataFrame) -> None:
    """Raise ValueError unless ``frame`` has ``SCHEMA``, at least one row, valid values and arrivals in order."""
    if frame.schema != SCHEMA:
        raise ValueError(f"timetable: schema is {frame.schema}, expected {SCHEMA}")
    if frame.height == 0:
        raise ValueError("timetable: no requests")
    arrival, slo = frame["arrival_s"].to_numpy(), frame["slo_tpot_s"].drop_nulls().to_numpy()
    faults = {
        "null in a required column": any(frame[name].null_count() for name in REQUIRED),
        "arrival_s is negative or not finite": not (np.isfinite(arrival).all() and (arrival >= 0).all()),
        "arrival_s goes backwards": bool((np.diff(arrival) < 0).any()),
        "a length is below 1 token": frame.filter(pl.min_horizontal("prompt_tokens", "output_tokens") < 1).height > 0,
        "slo_tpot_s is not positive and finite": not (np.isfinite(slo).all() and (slo > 0).all()),
        "slo_s is not above 0": frame.filter(pl.col("slo_s") <= 0).height > 0,
        "patience_s is not above 0": frame.filter(pl.col("patience_s") <= 0).height > 0,
        "an expected length is not above 0": frame.filter(pl.min_horizontal(EXPECTED) <= 0).height > 0,
        "app_limit is negative": frame.filter(pl.col("app_limit") < 0).height > 0,
        "a call is not one of its interaction's calls": frame.filter(~pl.col("call").is_between(1, "calls")).height > 0,
    }
    found = [fault for fault, present in faults.items() if present]
    if found:
        raise ValueError("timetable: " + "; ".join(found))
