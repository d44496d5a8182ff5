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
LATER_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)
C1S = (20.0, 30.0, 40.0)
TREE_SCALES = (0.84, 0.88, 0.92, 0.96, 1.0, 1.04, 1.08)
SCALES = tuple(round(0.86 + 0.02 * i, 2) for i in range(9))
FINE_STEPS = (-0.01, 0.0, 0.01)
TOKENS_APART, POINTS_APART = 0.2, 2.0
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
    """The fitted numbers of one pair: acceptance and c1 of both calibrations, and the three scales of the scaled one."""
    base = load_deployment(pair.model, pair.hardware)
    timetables = {rps: fig8_timetable(rps, base.baseline_tpot_s, 0, traces) for rps in published_rates(pair)}
    plain, scaled = fit_trees(pair, base, timetables, report)
    scale = {family: fit_scale(pair, base, plain, family, timetables, report) for family in ("off", "chain")}
    scale["adaserve"] = scaled.scale
    return {
        "fitted_by": COMMAND,
        "calibration": {
            "first-principles": {"fitted_on": "Figure 12; nothing of Figures 8 to 11 or 14 to 16", **plain.table()},
            "scaled": {"fitted_on": "Figure 12; lower half of Figure 8's rates", "scale": scale, **scaled.table()},
        },
    }


@dataclass(frozen=True)
class Trees:
    """A trial of AdaServe: how siblings share what the first leaves, c1, and the scale of its steps."""

    mean: float
    later_share: float
    c1: float
    scale: float = 1.0

    def table(self) -> dict[str, Any]:
        """The tables of a calibration that hold these numbers."""
        acceptance = {"mean": self.mean, "concentration": CONCENTRATION, "later_share": self.later_share}
        return {"acceptance": acceptance, "policies": {"adaserve": {"c1": self.c1}}}

    def applied_to(self, base: Deployment, family: str = "adaserve") -> Deployment:
        """``base`` with one calibration, ``trial``, that scales one engine family's steps."""
        acceptance = AcceptanceModel(self.mean, CONCENTRATION, self.later_share)
        policies = {"adaserve": {"c1": self.c1}}
        trial = Calibration("", {family: self.scale}, acceptance=acceptance, policies=policies)
        return replace(base, calibrations={"trial": trial})


def published_rates(pair: Pair) -> list[float]:
    """The request rates of Figure 8, ascending."""
    return sorted(_published("fig8", pair, "adaserve"))


def _published(figure: str, pair: Pair, system: str) -> dict[float, float]:
    rows = read_published("adaserve", figure).filter(pl.col("model") == pair.name, pl.col("system") == system)
    return dict(zip(rows["rps"].to_list(), rows[rows.columns[-1]].to_list(), strict=True))


def chain_acceptance(pair: Pair) -> float:
    """Figure 12's level of the shortest chain, vLLM-Spec(4), over its four positions: the chance that one is accepted."""
    return round(float(np.mean([*_published("fig12", pair, "vllm-spec-4").values()])) / 4, 3)


def fit_trees(
    pair: Pair, base: Deployment, timetables: Mapping[float, pl.DataFrame], report: Report
) -> tuple[Trees, Trees]:
    """AdaServe's numbers from first principles and scaled, over a grid, at every other rate.

    The first takes the unscaled cell nearest to AdaServe's curve in Figure 12. The second takes the cell nearest to that
    curve and to Figure 8's lower half together, an error of ``TOKENS_APART`` there weighing as much as one of
    ``POINTS_APART`` here; then its scale is refined.
    """
    mean = chain_acceptance(pair)
    cells = [Trees(mean, share, c1, scale) for share, c1, scale in product(LATER_SHARES, C1S, TREE_SCALES)]
    errors = _tree_errors(pair, base, cells, timetables)
    plain = min((cell for cell in cells if cell.scale == 1), key=lambda cell: errors[cell][0])
    joint = min(cells, key=lambda cell: _joint(errors[cell]))
    fine = [replace(joint, scale=round(joint.scale + step, 2)) for step in (-0.02, -0.01, 0.0, 0.01, 0.02)]
    errors |= _tree_errors(pair, base, fine, timetables)
    scaled = min(fine, key=lambda cell: _joint(errors[cell]))
    for name, cell in (("first-principles", plain), ("scaled", scaled)):
        report(f"{pair.name} {name}: {cell}, rms {errors[cell][0]:.2f} tokens, {errors[cell][1]:.1f} points")
    return plain, scaled


def _joint(errors: tuple[float, float]) -> float:
    return (errors[0] / TOKENS_APART) ** 2 + (errors[1] / POINTS_APART) ** 2


def _tree_errors(
    pair: Pair, base: Deployment, cells: list[Trees], timetables: Mapping[float, pl.DataFrame]
) -> dict[Trees, tuple[float, float]]:
    """For each trial the rms errors of Figure 12 (tokens, every other rate) and of Figure 8 (points, lower half)."""
    rates = published_rates(pair)
    chosen = rates[::2]
    low = sum(rps < rates[len(rates) // 2] for rps in chosen)
    tokens, points = (
        np.array([_published(figure, pair, "adaserve")[rps] for rps in chosen]) for figure in ("fig12", "fig8")
    )
    runs = [(cell.applied_to(base), pair, "adaserve", timetables[rps]) for cell in cells for rps in chosen]
    ours = np.array(_measure_all(runs)).reshape(len(cells), len(chosen), 2)
    far_tokens = np.sqrt(np.mean((ours[:, :, 0] - tokens) ** 2, axis=1))
    far_points = np.sqrt(np.mean((ours[:, :low, 1] - points[:low]) ** 2, axis=1))
    return dict(zip(cells, zip(far_tokens.tolist(), far_points.tolist(), strict=True), strict=True))


def fit_scale(
    pair: Pair, base: Deployment, trees: Trees, family: str, timetables: Mapping[float, pl.DataFrame], report: Report
) -> float:
    """One step-cost scale of a baseline's engine family, by least squares on attainment at the lower half of the rates."""
    rates = published_rates(pair)
    low = rates[: len(rates) // 2]
    cells = [(system, rps) for system in FAMILIES[family] for rps in low]
    published = np.array([_published("fig8", pair, system)[rps] for system, rps in cells])

    def errors(scales: Iterable[float]) -> dict[float, float]:
        scales = list(scales)
        trials = [replace(trees, scale=scale).applied_to(base, family) for scale in scales]
        runs = [(trial, pair, system, timetables[rps]) for trial in trials for system, rps in cells]
        ours = np.array(_measure_all(runs))[:, 1].reshape(len(scales), len(cells))
        rms = np.sqrt(np.mean((ours - published) ** 2, axis=1))
        return dict(zip(scales, rms.tolist(), strict=True))

    coarse = errors(SCALES)
    middle = min(coarse, key=coarse.__getitem__)
    fine = errors(round(middle + step, 2) for step in FINE_STEPS)
    best = min(fine, key=fine.__getitem__)
    report(f"{pair.name} scaled: {family} x {best}, rms {fine[best]:.1f} points on the lower rates")
    return best


Run = tuple[Deployment, Pair, str, pl.DataFrame]


def _measure_all(runs: list[Run]) -> list[tuple[float, float]]:
    """Mean tokens a verification and attainment of many runs, in parallel, in their order."""
    return list(Parallel(n_jobs=-1)(delayed(_measure)(*run) for run in runs))


def _measure(deployment: Deployment, pair: Pair, system: str, timetable: pl.DataFrame) -> tuple[float, float]:
    setup = Setup(system, pair.model, pair.hardware, "trial")
    metrics = summarize(simulate(timetable, setup, deployment).requests)
    return metrics["mean_tokens_per_verification"] or 0.0, metrics["attainment_pct"]
