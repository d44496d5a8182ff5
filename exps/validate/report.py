"""`cli.py validate`: recorded, simulated, error, run by run, then the medians."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.recorded.calibration import OF_VTC
from exps.recorded.recordings import environment, read_recordings
from exps.report import Reporter
from exps.validate.measures import RecordingCheck, compare, judgements


def validate(folder: Path, as_json: bool, repeats: int, report: Reporter) -> None:
    """Replay every recorded run of ``folder`` whose system is built, and print how far the simulator is off."""
    recordings = read_recordings(folder)
    places = {run.name: environment(run.name, run.committed_on) for run in recordings}
    skipped = {run.name: places[run.name].label for run in recordings if places[run.name].system is None}
    runs = [run for run in recordings if run.name not in skipped]
    if not runs:
        raise InputError(f"{folder}: none of its {len(skipped)} runs is of a system that is built; see `cli.py list`.")
    with report.progress(len(runs)) as advance:
        comparisons = []
        for run in runs:
            comparisons.append(compare(run, places[run.name], repeats))
            advance()
    if as_json:
        report.json(as_document(comparisons, skipped))
    else:
        _print(comparisons, skipped, report)


def is_calibration(comparison: RecordingCheck) -> bool:
    """Whether the simulator was fitted to this run, so that it validates nothing."""
    return comparison.run in OF_VTC


def as_document(comparisons: list[RecordingCheck], skipped: dict[str, str]) -> dict[str, Any]:
    """Everything that the table shows, for `--json`. Errors are relative (0.01 is 1 %)."""
    return {
        "runs": [_run_document(comparison) for comparison in comparisons],
        "skipped": [{"run": run, "system": system, "why": "not built yet"} for run, system in skipped.items()],
        "errors": {"validation": _spread([c for c in comparisons if not is_calibration(c)]), "all": _spread(comparisons)},
    }


def _run_document(comparison: RecordingCheck) -> dict[str, Any]:
    recorded, simulated = comparison.recorded, comparison.simulated
    document: dict[str, Any] = {
        "run": comparison.run,
        "system": comparison.system,
        "calibration": comparison.calibration,
        "used_for_calibration": is_calibration(comparison),
    }
    for metric in ("served", "throughput_rps", "mean_ttft_s", "largest_difference"):
        document[metric] = {
            "recorded": getattr(recorded, metric),
            "simulated": getattr(simulated, metric),
            "error": comparison.error(metric),
        }
    document["largest_difference"]["band"] = comparison.band
    document["client_mean_ttft_s"] = {
        client: {"recorded": recorded.client_ttft_s[client], "simulated": simulated.client_ttft_s[client], "error": error}
        for client, error in comparison.client_errors().items()
    }
    return document


def _spread(comparisons: list[RecordingCheck]) -> dict[str, dict[str, float]]:
    if not comparisons:
        return {}
    errors = judgements(comparisons).drop("run")
    return {name: {"median": errors[name].median(), "worst": errors[name].max()} for name in errors.columns}  # type: ignore[dict-item]


def _print(comparisons: list[RecordingCheck], skipped: dict[str, str], report: Reporter) -> None:
    rows = [_row(comparison) for comparison in comparisons]
    caption = "* the simulator was calibrated on this run. Recorded, simulated, error in percent; ttft in seconds."
    report.frame("Recorded and simulated", pl.DataFrame(rows), caption)
    _print_clients(comparisons, report)
    for comparison in comparisons:
        recorded, simulated = comparison.recorded, comparison.simulated
        if recorded.turned_away or simulated.turned_away:
            report.say(f"accepted: {comparison.run}: {recorded.served:,} recorded, {simulated.served:,} simulated")
    for run, system in skipped.items():
        report.say(f"skipped: {run} ({system} is not built yet)")
    validation = [comparison for comparison in comparisons if not is_calibration(comparison)]
    for name, chosen in (("validation runs", validation), ("all runs", comparisons)):
        parts = [f"{key} {v['median']:.2%} (worst {v['worst']:.2%})" for key, v in _spread(chosen).items()]
        report.say(f"median error, {name} ({len(chosen)}): {', '.join(parts) or 'none'}")


def _row(comparison: RecordingCheck) -> dict[str, Any]:
    row: dict[str, Any] = {"run": comparison.run + " *" * is_calibration(comparison)}
    for metric, name in (("throughput_rps", "requests/s"), ("mean_ttft_s", "ttft"), ("largest_difference", "difference")):
        row[name] = getattr(comparison.recorded, metric)
        row[f"{name} sim."] = getattr(comparison.simulated, metric)
        row[f"{name} %"] = round(100 * comparison.error(metric), 2)
    client, error = comparison.worst_client()
    row["worst client's ttft %"] = f"{100 * error:+.1f} ({client})"
    row["band of repeats"] = " .. ".join(f"{edge:,.0f}" for edge in comparison.band or ()) or "-"
    return row


def _print_clients(comparisons: list[RecordingCheck], report: Reporter, most: int = 6) -> None:
    """Mean TTFT by client, for runs with few clients; `--json` has all of them."""
    rows = [
        {
            "run": comparison.run,
            "client": client,
            "recorded s": comparison.recorded.client_ttft_s[client],
            "simulated s": comparison.simulated.client_ttft_s[client],
            "error %": round(100 * error, 1),
        }
        for comparison in comparisons
        if len(comparison.client_errors()) <= most
        for client, error in comparison.client_errors().items()
    ]
    if rows:
        report.frame(f"Mean TTFT by client (runs of at most {most} clients)", pl.DataFrame(rows))
