"""`cli.py validate`: recorded, simulated, error, run by run, then the medians."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.errors import InputError
from exps.fitting.vtc import CALIBRATION_RUNS
from exps.recordings import Recording, environment, read_recordings
from exps.validate.measures import Comparison, compare, judgements


def validate(folder: Path, as_json: bool, repeats: int, console: Console | None = None) -> None:
    """Replay every recorded run of ``folder`` whose system is built, and print how far the simulator is off."""
    console = console or Console()
    recordings = read_recordings(folder)
    places = {run.name: environment(run.name, run.committed_on) for run in recordings}
    skipped = {run.name: places[run.name].label for run in recordings if places[run.name].system is None}
    runs = [run for run in recordings if run.name not in skipped]
    if not runs:
        raise InputError(f"{folder}: none of its {len(skipped)} runs is of a system that is built; see `cli.py list`.")
    comparisons = _compare_all(runs, repeats, console if not as_json else None)
    if as_json:
        print(json.dumps(as_document(comparisons, skipped), indent=2))
    else:
        _print(comparisons, skipped, console)


def _compare_all(runs: list[Recording], repeats: int, console: Console | None) -> list[Comparison]:
    comparisons = []
    for run in runs:
        if console:
            console.print(f"[dim]replaying {run.name} ({run.requests.height} requests)[/dim]")
        comparisons.append(compare(run, environment(run.name, run.committed_on), repeats))
    return comparisons


def is_calibration(comparison: Comparison) -> bool:
    """Whether the simulator was fitted to this run, so that it validates nothing."""
    return comparison.run in CALIBRATION_RUNS


def as_document(comparisons: list[Comparison], skipped: dict[str, str]) -> dict[str, Any]:
    """Everything that the table shows, for `--json`. Errors are relative (0.01 is 1 %)."""
    return {
        "runs": [_run_document(comparison) for comparison in comparisons],
        "skipped": [{"run": run, "system": system, "why": "not built yet"} for run, system in skipped.items()],
        "errors": {"validation": _spread([c for c in comparisons if not is_calibration(c)]), "all": _spread(comparisons)},
    }


def _run_document(comparison: Comparison) -> dict[str, Any]:
    recorded, simulated = comparison.recorded, comparison.simulated
    document: dict[str, Any] = {
        "run": comparison.run,
        "system": comparison.system,
        "calibration": comparison.calibration,
        "used_for_calibration": is_calibration(comparison),
    }
    for metric in ("throughput_rps", "mean_ttft_s", "largest_difference"):
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


def _spread(comparisons: list[Comparison]) -> dict[str, dict[str, float]]:
    if not comparisons:
        return {}
    errors = judgements(comparisons).drop("run")
    return {name: {"median": errors[name].median(), "worst": errors[name].max()} for name in errors.columns}  # type: ignore[dict-item]


def _print(comparisons: list[Comparison], skipped: dict[str, str], console: Console) -> None:
    table = Table(title="Recorded and simulated", caption="* the simulator was calibrated on this run")
    table.add_column("run")
    for name in ("requests/s", "mean TTFT s", "worst client TTFT", "largest difference", "repeats' band"):
        table.add_column(name, justify="right")
    for comparison in comparisons:
        worst = max(comparison.client_errors().values(), key=abs, default=0.0)
        band = "-" if comparison.band is None else " .. ".join(f"{edge:,.0f}" for edge in comparison.band)
        table.add_row(
            comparison.run + " *" * is_calibration(comparison),
            _cell(comparison, "throughput_rps", "{:.3f}"),
            _cell(comparison, "mean_ttft_s", "{:.2f}"),
            f"{worst:+.1%}",
            _cell(comparison, "largest_difference", "{:,.0f}"),
            band,
        )
    console.print(table)
    _print_clients(comparisons, console)
    for run, system in skipped.items():
        console.print(f"skipped: {run} ({system} is not built yet)")
    for name, chosen in (("validation runs", [c for c in comparisons if not is_calibration(c)]), ("all runs", comparisons)):
        parts = [f"{key} {v['median']:.2%} (worst {v['worst']:.2%})" for key, v in _spread(chosen).items()]
        console.print(f"median error, {name} ({len(chosen)}): {', '.join(parts) or 'none'}")


def _cell(comparison: Comparison, metric: str, form: str) -> str:
    recorded, simulated = getattr(comparison.recorded, metric), getattr(comparison.simulated, metric)
    return f"{form.format(recorded)} / {form.format(simulated)} {comparison.error(metric):+.1%}"


def _print_clients(comparisons: list[Comparison], console: Console, most: int = 6) -> None:
    """Mean TTFT by client, for runs with few clients; `--json` has all of them."""
    table = Table(title=f"Mean TTFT by client (runs of at most {most} clients)")
    for name in ("run", "client", "recorded s", "simulated s", "error"):
        table.add_column(name, justify="left" if name in ("run", "client") else "right")
    for comparison in comparisons:
        errors = comparison.client_errors()
        for client, error in errors.items() if len(errors) <= most else ():
            recorded, simulated = comparison.recorded.client_ttft_s[client], comparison.simulated.client_ttft_s[client]
            table.add_row(comparison.run, client, f"{recorded:.2f}", f"{simulated:.2f}", f"{error:+.1%}")
    console.print(table)
