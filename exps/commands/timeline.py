"""`cli.py timeline`: what speculation did in an interval of a point that was run with --trace-steps."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.errors import InputError
from exps.report import Reporter
from exps.run.records import REQUESTS, TRACE, read_manifest, storage

MOST_ROWS = 48
SUMS = ("slo_tokens", "more_tokens", "produced")


def command(folder: Path, between: str, report: Reporter) -> None:
    """Print the steps of the interval and draw them, into the folder. InputError where there is no trace of it."""
    begin_s, end_s = parse_interval(between)
    trace = _read(folder)
    chosen = trace.filter(pl.col("end_s") > begin_s, pl.col("start_s") < end_s)
    if chosen.is_empty():
        last_s = trace.select(pl.col("end_s").max()).item()
        raise InputError(f"{folder} has no step from {begin_s:g} to {end_s:g} s; its last ends at {last_s or 0.0:.1f} s.")
    steps, cells = steps_of(chosen), cells_of(chosen, pl.read_parquet(folder / REQUESTS))
    report.frame("Steps", steps.drop("end_s"), _source(folder))
    from plots.timeline import timeline

    hidden = cells["row"].n_unique() - MOST_ROWS
    shown = cells.filter(pl.col("row").is_in(cells["row"].unique(maintain_order=True).head(MOST_ROWS).implode()))
    more = f" {hidden} more requests are not shown." if hidden > 0 else ""
    with storage(folder):
        path = folder.parent / f"{folder.name}-timeline-{begin_s:g}-{end_s:g}"
        report.pictures(timeline(steps, shown, path=path, footer=f"{_source(folder)}{more}"))


def parse_interval(text: str) -> tuple[float, float]:
    """ "120:121" in seconds. InputError when it is no interval."""
    try:
        begin_s, end_s = (float(part) for part in text.split(":"))
    except ValueError:
        begin_s, end_s = 0.0, -1.0
    if not 0 <= begin_s < end_s < float("inf"):
        raise InputError(f"--between {text!r} is no interval; write seconds of the run as begin:end, as in 120:121.")
    return begin_s, end_s


def steps_of(trace: pl.DataFrame) -> pl.DataFrame:
    """A row a step: start_s, end_s, depth, width, budget, roots, slo_tokens, more_tokens, produced, prefill_tokens."""
    first = ("start_s", "end_s", "depth", "width", "budget", "prefill_tokens")
    sums = {name: pl.col(name).cast(pl.Int64).sum() for name in SUMS}
    grouped = trace.group_by("step", maintain_order=True)
    return grouped.agg(pl.col(first).first(), roots=pl.col("request").count().cast(pl.Int64), **sums)


def cells_of(trace: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """A row for each request in a step, with its label in ``row``; by category, those with the tightest SLO first, then by
    arrival."""
    known = requests.select(pl.col("request").cast(pl.Int32), "category", "slo_tpot_s")
    joined = trace.drop_nulls("request").join(known, on="request", how="left", maintain_order="left")
    label = pl.concat_str(pl.col("category").fill_null("request"), pl.lit(" "), pl.col("request"))
    return joined.with_columns(row=label).sort("slo_tpot_s", "category", "request", "step", nulls_last=True)


def _read(folder: Path) -> pl.DataFrame:
    if not (folder / TRACE).is_file():
        raise InputError(
            f"{folder} holds no {TRACE}; run its point with --trace-steps, and name the folder of one system and value, as in"
            " results/adaserve/fig8/sim-4xa100-80g-scaled-traced/llama/adaserve/rps-4."
        )
    return pl.read_parquet(folder / TRACE)


def _source(folder: Path) -> str:
    asked = (read_manifest(folder) or {}).get("configuration", {})
    parts = [asked.get(name) for name in ("backend", "system", "model", "hardware", "calibration")]
    return ", ".join(str(part) for part in parts if part) + "."
