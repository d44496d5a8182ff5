"""Fitting AdaServe's two deployments: acceptance and c1 to Figure 12, and the scaled calibration to half of Figure 8."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.profiles import Calibration, Deployment, load_deployment
from exps.fitting.store import store
from exps.metrics.requests import summarize
from exps.published import read_published
from exps.simulation import Setup, simulate
from exps.workload.adaserve import fig8_timetable

COMMAND = "cli.py fit adaserve"
CONCENTRATION = 1.5
LATER_SHARES = np.round(np.arange(0.1, 0.75, 0.1), 2)
C1S = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
SCALES = np.round(np.arange(0.80, 1.2001, 0.02), 3)
FINE_SCALES = np.round(np.arange(-0.015, 0.0151, 0.005), 3)
FAMILIES = {
    "off": ("vllm", "sarathi"),
    "chain": ("vllm-spec-4", "vllm-spec-6", "vllm-spec-8"),
    "adaserve": ("adaserve",),
}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """A model of the paper with its deployment."""

    name: str
    model: str
    hardware: str

    @property
    def file(self) -> str:
        return f"{self.model}@{self.hardware}"


PAIRS = (Pair("llama", "llama-3.1-70b", "4xa100-80g"), Pair("qwen", "qwen2.5-32b", "2xa100-80g"))


def fit(traces: Path, report: Report, into: Path | None = None) -> list[Path]:
    """Fit both pairs on the artifact's traces; returns the files written."""
    return [store(pair.file, fit_pair(pair, traces, report), into) for pair in PAIRS]


def fit_pair(pair: Pair, traces: Path, report: Report) -> dict[str, Any]:
    """The fitted numbers of one pair: acceptance, c1, and three step-cost scales."""
    base = load_deployment(pair.model, pair.hardware)
    base = replace(base, calibrations={"trial": Calibration("")})
    timetables = {rps: fig8_timetable(rps, base.baseline_tpot_s, 0, traces) for rps in published_rates(pair)}
    mean = chain_acceptance(pair)
    share, c1 = fit_trees(pair, base, mean, timetables, report)
    fitted = with_trees(base, mean, share, c1)
    scale = {family: fit_scale(pair, fitted, family, timetables, report) for family in FAMILIES}
    return {
        "fitted_by": COMMAND,
        "acceptance": {"mean": mean, "concentration": CONCENTRATION, "later_share": share},
        "policies": {"adaserve": {"c1": c1}},
        "calibration": {
            "first-principles": {"fitted_on": "nothing measured in Figures 8 to 11 or 14 to 16"},
            "scaled": {"fitted_on": "attainment of Figure 8, lower half of the rates", "scale": scale},
        },
    }


def published_rates(pair: Pair) -> list[float]:
    """The request rates of Figure 8, ascending."""
    return sorted(_published("fig8", pair, "adaserve"))


def _published(figure: str, pair: Pair, system: str) -> dict[float, float]:
    rows = read_published("adaserve", figure).filter(pl.col("model") == pair.name, pl.col("system") == system)
    return dict(zip(rows["rps"].to_list(), rows[rows.columns[-1]].to_list(), strict=True))


def chain_acceptance(pair: Pair) -> float:
    """Figure 12's levels of vLLM-Spec(n) are n times one rate: the chance that a position is accepted."""
    chains = ((system, int(system.rsplit("-", 1)[1])) for system in FAMILIES["chain"])
    return round(float(np.mean([np.mean([*_published("fig12", pair, s).values()]) / n for s, n in chains])), 3)


def with_trees(base: Deployment, mean: float, share: float, c1: float) -> Deployment:
    """``base`` with an acceptance model and AdaServe's c1."""
    policies = {**base.policies, "adaserve": {**base.policies.get("adaserve", {}), "c1": c1}}
    return replace(base, acceptance=AcceptanceModel(mean, CONCENTRATION, share), policies=policies)


def fit_trees(
    pair: Pair, base: Deployment, mean: float, timetables: Mapping[float, pl.DataFrame], report: Report
) -> tuple[float, float]:
    """later_share and c1 by least squares on AdaServe's curve of Figure 12, over a grid, with nothing scaled."""
    target = _published("fig12", pair, "adaserve")
    rates = list(target)
    grid = [(float(share), c1) for share, c1 in product(LATER_SHARES, C1S)]
    runs = [(with_trees(base, mean, *cell), pair, "adaserve", timetables[r]) for cell in grid for r in rates]
    tokens = np.array(_measure_all("mean_tokens_per_verification", runs)).reshape(len(grid), len(rates))
    errors = np.sqrt(np.mean((tokens - np.array([target[r] for r in rates])) ** 2, axis=1))
    for cell in np.argsort(errors)[:5]:
        report(f"{pair.name}: later_share, c1 = {grid[cell]}: {errors[cell]:.3f} tokens rms on Figure 12")
    return grid[int(np.argmin(errors))]


def fit_scale(
    pair: Pair, fitted: Deployment, family: str, timetables: Mapping[float, pl.DataFrame], report: Report
) -> float:
    """One step-cost scale of an engine family, by least squares on attainment at the lower half of the rates."""
    rates = published_rates(pair)
    low = rates[: len(rates) // 2]
    cells = [(system, rps, _published("fig8", pair, system)[rps]) for system in FAMILIES[family] for rps in low]

    def error(scales: Iterable[float]) -> dict[float, float]:
        scales = list(scales)
        runs = [
            (with_scale(fitted, family, scale), pair, system, timetables[rps])
            for scale in scales
            for system, rps, _ in cells
        ]
        ours = np.array(_measure_all("attainment_pct", runs)).reshape(len(scales), len(cells))
        rms = np.sqrt(np.mean((ours - np.array([value for *_, value in cells])) ** 2, axis=1))
        return dict(zip(scales, rms.tolist(), strict=True))

    coarse = error(map(float, SCALES))
    middle = min(coarse, key=coarse.__getitem__)
    fine = error(round(float(middle + step), 3) for step in FINE_SCALES)
    best = min(fine, key=fine.__getitem__)
    report(f"{pair.name}: scale of {family} = {best}: {fine[best]:.1f} points rms on the lower rates")
    return best


def with_scale(fitted: Deployment, family: str, scale: float) -> Deployment:
    """``fitted`` with one engine family's steps scaled."""
    return replace(fitted, calibrations={"trial": Calibration("", scale={family: scale})})


def _measure_all(metric: str, runs: list[tuple[Deployment, Pair, str, pl.DataFrame]]) -> list[float]:
    """A metric of many runs, in parallel, in their order."""
    return list(Parallel(n_jobs=-1)(delayed(_measure)(metric, *run) for run in runs))


def _measure(metric: str, deployment: Deployment, pair: Pair, system: str, timetable: pl.DataFrame) -> float:
    setup = Setup(system, pair.model, pair.hardware, "trial")
    return float(summarize(simulate(timetable, setup, deployment).requests)[metric])
