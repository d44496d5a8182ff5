"""What is compared between a recorded run and its replay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from engine.executors.simulated.profiles import Deployment, load_deployment
from exps.metrics.requests import summarize, summarize_by_client
from exps.metrics.service import largest_difference, response_intervals
from exps.metrics.statuses import FINISHED
from exps.recorded.perturb import perturbed_cold_start, perturbed_deployment, perturbed_timetable
from exps.recorded.recordings import Environment, Recording
from exps.recorded.replay import replay


@dataclass(frozen=True)
class Measures:
    """Of one run: requests served and turned away, requests/s until the backlog is drained, TTFT in seconds, and the largest
    accumulated service difference between two clients (w_p = 1, w_q = 2) while requests arrive."""

    served: int
    turned_away: int

    throughput_rps: float
    mean_ttft_s: float
    client_ttft_s: dict[str, float]
    largest_difference: float


@dataclass(frozen=True)
class RecordingCheck:
    """A recorded run beside its replay. ``band``: least and most of the largest difference over perturbed repeats."""

    run: str
    system: str
    calibration: str
    recorded: Measures
    simulated: Measures
    band: tuple[float, float] | None

    def error(self, metric: str) -> float:
        """Relative error of a metric of the replay."""
        return float(getattr(self.simulated, metric) / getattr(self.recorded, metric) - 1)

    def client_errors(self) -> dict[str, float]:
        """Relative error of each client's mean TTFT."""
        recorded = self.recorded.client_ttft_s
        return {client: ttft / recorded[client] - 1 for client, ttft in self.simulated.client_ttft_s.items()}

    def worst_client(self) -> tuple[str, float]:
        """The client whose mean TTFT is off by most, and its relative error; a run without clients that were served has
        none."""
        return max(self.client_errors().items(), key=lambda pair: abs(pair[1]), default=("-", 0.0))


def measure(run: Recording) -> Measures:
    """The measures of a run, recorded or replayed, by the same formulas."""
    records = run.records()
    clients = summarize_by_client(records)
    served = records.filter(FINISHED).height
    return Measures(
        served=served,
        turned_away=records.height - served,
        throughput_rps=served / run.total_s,
        mean_ttft_s=float(summarize(records)["mean_ttft_s"]),
        client_ttft_s=dict(clients.select("client", "mean_ttft_s").drop_nulls().iter_rows()),
        largest_difference=largest_difference(response_intervals(records), run.duration_s),
    )


def compare(run: Recording, place: Environment, repeats: int, seed: int = 0) -> RecordingCheck:
    """Replay ``run`` once as recorded and ``repeats`` times perturbed."""
    simulated = measure(replay(run, place, seed=seed))
    differences = _perturbed_differences(run, place, repeats)
    band = (min(differences), max(differences)) if differences else None
    return RecordingCheck(run.name, place.label, place.calibration, measure(run), simulated, band)


def _perturbed_differences(run: Recording, place: Environment, repeats: int) -> list[float]:
    deployment = load_deployment(place.model, place.hardware)
    calls = (delayed(_perturbed_difference)(run, place, deployment, seed) for seed in range(1, repeats + 1))
    return list(Parallel(n_jobs=-1)(calls)) if repeats else []


def _perturbed_difference(run: Recording, place: Environment, deployment: Deployment, seed: int) -> float:
    rng = np.random.default_rng(seed)
    tried, timetable = perturbed_deployment(deployment, rng), perturbed_timetable(run.timetable(), rng)
    served = replay(run, place, tried, seed, timetable, perturbed_cold_start(rng))
    return measure(served).largest_difference


def judgements(comparisons: list[RecordingCheck]) -> pl.DataFrame:
    """One row a comparison: the errors that the medians are taken over. ``client_ttft``: of the worst client."""
    return pl.DataFrame(
        {
            "run": [c.run for c in comparisons],
            "throughput": [abs(c.error("throughput_rps")) for c in comparisons],
            "mean_ttft": [abs(c.error("mean_ttft_s")) for c in comparisons],
            "client_ttft": [abs(c.worst_client()[1]) for c in comparisons],
            "largest_difference": [abs(c.error("largest_difference")) for c in comparisons],
        }
    )
