"""FairServe's recorded runs against the simulator, which reads requests at the pace of the recorded server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from engine.executors.simulated.profiles import load_deployment
from exps.metrics.interactions import aborts
from exps.metrics.statuses import FINISHED
from exps.papers.fairserve.recordings import FairServeRun, read_recordings
from exps.papers.fairserve.replay import replay
from exps.papers.fairserve.server import HARDWARE, MODEL, READS_PER_WAIT
from exps.recorded.calibration import OF_FAIRSERVE
from exps.recorded.perturb import perturbed_cold_start, perturbed_deployment
from exps.report import Reporter, cell

WITHIN = {"aborted_interactions": 0.2, "wasted_prompt_tokens": 0.2, "requests_per_s": 0.05}
MEASURES = ("aborted_requests", *WITHIN, "throttled_clients", "mean_ttft_s")
Measures = dict[str, float]


@dataclass(frozen=True)
class FairServeCheck:
    """A recorded run beside its replay and beside the same replayed by a server that sees every request as it is sent.

    ``repeats`` are replays with decode steps up to 1 % longer or shorter, and a cold start up to 5 %.
    """

    run: str
    recorded: Measures
    simulated: Measures
    burst: Measures
    repeats: tuple[Measures, ...]

    def error(self, metric: str) -> float | None:
        """Relative error of a metric; None where nothing was recorded and something was simulated."""
        recorded, simulated = self.recorded[metric], self.simulated[metric]
        return simulated / recorded - 1 if recorded else 0.0 if not simulated else None

    def agrees(self, metric: str) -> bool:
        """Whether the error is no larger than it may be."""
        error = self.error(metric)
        return error is not None and abs(error) <= WITHIN[metric]

    def band(self, metric: str) -> tuple[float, float] | None:
        """Least and most of the repeats."""
        found = [measures[metric] for measures in self.repeats]
        return (min(found), max(found)) if found else None


def measure(run: FairServeRun) -> Measures:
    """The measures of a run, recorded or replayed."""
    served = run.requests.filter(FINISHED)
    counts = aborts(run.requests)
    return {
        **{name: float(counts[name]) for name in MEASURES if name in counts},
        "requests_per_s": served.height / run.total_s,
        "mean_ttft_s": served.select((pl.col("first_token_s") - pl.col("arrival_s")).mean()).item(),
    }


def compare(run: FairServeRun, repeats: int) -> FairServeCheck:
    """Replay ``run`` as recorded, once as a burst, and ``repeats`` times perturbed."""
    calls = (delayed(_perturbed)(run, seed) for seed in range(1, repeats + 1))
    perturbed = tuple(Parallel(n_jobs=-1)(calls)) if repeats else ()
    return FairServeCheck(run.name, measure(run), measure(replay(run)), measure(replay(run, reads_per_wait=None)), perturbed)


def _perturbed(run: FairServeRun, seed: int) -> Measures:
    rng = np.random.default_rng(seed)
    deployment = perturbed_deployment(load_deployment(MODEL, HARDWARE), rng)
    return measure(replay(run, deployment, cold_start_factor=perturbed_cold_start(rng)))


def validate(folder: Path, as_json: bool, repeats: int, report: Reporter) -> None:
    """Replay every recorded run of ``folder`` and print how far the simulator is off."""
    runs = read_recordings(folder)
    comparisons = []
    with report.progress(len(runs)) as advance:
        for run in runs:
            comparisons.append(compare(run, repeats))
            advance()
    if as_json:
        report.json(as_document(comparisons))
        return
    rows = [_row(comparison, metric) for comparison in comparisons for metric in MEASURES]
    caption = f"* the simulator was calibrated on this run. Requests are read at the recorded server's pace, {READS_PER_WAIT}"
    caption += " at each wait for the model; burst: each is seen as it is sent. May be off: interactions and tokens 20 %,"
    report.frame("Recorded and simulated", pl.DataFrame(rows, infer_schema_length=None), caption + " requests/s 5 %.")


def as_document(comparisons: list[FairServeCheck]) -> dict[str, Any]:
    """Everything that the table shows, for `--json`. Errors are relative (0.01 is 1 %)."""
    runs = []
    for comparison in comparisons:
        document: dict[str, Any] = {"run": comparison.run, "used_for_calibration": comparison.run == OF_FAIRSERVE}
        for metric in MEASURES:
            document[metric] = {
                "recorded": comparison.recorded[metric],
                "simulated": comparison.simulated[metric],
                "error": comparison.error(metric),
                "band": comparison.band(metric),
                "burst": comparison.burst[metric],
            }
            if metric in WITHIN:
                document[metric]["agrees"] = comparison.agrees(metric)
        runs.append(document)
    return {"runs": runs}


def _row(comparison: FairServeCheck, metric: str) -> dict[str, Any]:
    error, band = comparison.error(metric), comparison.band(metric)
    return {
        "run": comparison.run + " *" * (comparison.run == OF_FAIRSERVE),
        "metric": metric,
        "recorded": comparison.recorded[metric],
        "simulated": comparison.simulated[metric],
        "error %": None if error is None else round(100 * error, 1),
        "agrees": ("yes" if comparison.agrees(metric) else "no") if metric in WITHIN else "",
        "band of repeats": " .. ".join(cell(edge) for edge in band) if band else "-",
        "burst": comparison.burst[metric],
    }
