"""Fitting AdaServe's two deployments: acceptance by kind and c1 to Figure 12, and six scales to the lower half of Figure 8."""

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
from engine.executors.simulated.engines import CHAINS, PLAIN, TREES
from engine.executors.simulated.profiles import Calibration, Deployment, load_deployment
from engine.system import parse_system
from exps.calibrate.kinds import Kinds, fit_kinds
from exps.calibrate.store import store
from exps.figures.figure import Platform
from exps.figures.published import read_published
from exps.metrics.requests import summarize
from exps.papers.adaserve.evaluation import PLATFORMS, STATIC
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.adaserve import evaluation_timetable
from exps.workload.adaserve_loads import of_rate

COMMAND = "cli.py fit --adaserve DIR"
ACCEPTANCE_FROM = (
    "Figure 12, public tables of acceptance by kind of text, and answer lengths that agree with the goodput per attained"
    " request of Figures 8 and 9"
)
CONCENTRATION = 1.5
SCALE_FROM = "scale, expanded_s: lower half of Figure 8's rates"
LATER_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)
C1S = (10.0, 20.0, 30.0, 40.0)
SCALES = tuple(round(0.86 + 0.02 * i, 2) for i in range(14))
FINE_STEPS = (-0.01, 0.0, 0.01)
EXPANDED_S = tuple(20e-6 * i for i in range(12))
FINE_EXPANDED_S = (-10e-6, 0.0, 10e-6)
FAMILIES = {
    PLAIN: ("vllm", "sarathi"),
    CHAINS: ("vllm-spec-4", "vllm-spec-6", "vllm-spec-8"),
    TREES: ("adaserve",),
}

Report = Callable[[str], None]


def fit(traces: Path, report: Report, into: Path | None = None) -> list[Path]:
    """Fit both platforms on the artifact's traces; returns the files written."""
    fitted = {f"{p.model}@{p.hardware}": fit_platform(p, traces, report) for p in PLATFORMS}
    return [store(pair, table, into) for pair, table in fitted.items()]


def fit_platform(platform: Platform, traces: Path, report: Report) -> dict[str, Any]:
    """The fitted numbers of a platform: acceptance and c1 for both calibrations, three numbers for the scaled one: two scales,
    and what vLLM V0's host takes for each sequence of an expanded batch, whose other steps are those of plain batching."""
    base = load_deployment(platform.model, platform.hardware)
    rates, baseline_s = published_rates(platform), base.baseline_tpot_s
    timetables = {rps: evaluation_timetable(of_rate(rps), baseline_s, 0, traces) for rps in rates}
    trees = fit_trees(platform, base, timetables, report)
    scale = {family: fit_scale(platform, base, trees, family, timetables, report) for family in (PLAIN, TREES)}
    scale[CHAINS] = scale[PLAIN]
    expanded_s = fit_expanded(platform, base, trees, scale[CHAINS], timetables, report)
    return {
        "fitted_by": COMMAND,
        "calibration": {
            "first-principles": {"fitted_on": ACCEPTANCE_FROM, **trees.table()},
            "scaled": {
                "fitted_on": f"{ACCEPTANCE_FROM}; {SCALE_FROM}", "expanded_s": expanded_s, "scale": scale, **trees.table(),
            },
        },
    }


@dataclass(frozen=True)
class Trees:
    """How likely the first child of a node is, for each kind of text and request, how its siblings share the rest, and
    AdaServe's c1."""

    mean: float
    kinds: Kinds
    later_share: float
    c1: float

    def table(self) -> dict[str, Any]:
        """The tables of a calibration that hold these numbers."""
        first = {"mean": self.mean, "concentration": CONCENTRATION, "later_share": self.later_share}
        kinds = {"spread": self.kinds.spread, "by_kind": self.kinds.by_kind}
        return {"acceptance": {**first, **kinds}, "policies": {"adaserve": {"c1": self.c1}}}

    def applied_to(
        self, base: Deployment, scale: Mapping[str, float] | None = None, expanded_s: float = 0.0
    ) -> Deployment:
        """``base`` with one calibration, ``trial``, that scales the steps of the engine families in ``scale``."""
        acceptance = AcceptanceModel(**self.table()["acceptance"])
        policies = {"adaserve": {"c1": self.c1}}
        trial = Calibration("", scale or {}, expanded_s=expanded_s, acceptance=acceptance, policies=policies)
        return replace(base, calibrations={"trial": trial})


def published_rates(platform: Platform) -> list[float]:
    """The request rates of Figure 8, ascending."""
    return sorted(_published("fig8", platform, "adaserve"))


def _published(figure: str, platform: Platform, system: str) -> dict[float, float]:
    rows = read_published("adaserve", figure).filter(pl.col("model") == platform.name, pl.col("system") == system)
    return dict(zip(rows["rps"].to_list(), rows[rows.columns[-1]].to_list(), strict=True))


def chain_acceptance(platform: Platform) -> dict[int, float]:
    """Figure 12's mean level of each chain over its positions, by its length: the acceptance rate that vLLM counts."""
    lengths = {int(system.rpartition("-")[2]): system for system in STATIC}
    return {n: float(np.mean([*_published("fig12", platform, system).values()])) / n for n, system in lengths.items()}


def fit_trees(platform: Platform, base: Deployment, timetables: Mapping[float, pl.DataFrame], report: Report) -> Trees:
    """The cell of a grid of later_share and c1 that is nearest to AdaServe's curve in Figure 12, with nothing scaled; at every
    other rate, since neighbours share a trace."""
    target = dict(list(_published("fig12", platform, "adaserve").items())[::2])
    levels = chain_acceptance(platform)
    mean, kinds = round(levels[min(levels)], 3), fit_kinds(levels)
    cells = [Trees(mean, kinds, share, c1) for share, c1 in product(LATER_SHARES, C1S)]
    runs = [(cell.applied_to(base), platform, "adaserve", timetables[rps]) for cell in cells for rps in target]
    tokens = np.array(_measure_all(runs))[:, 0].reshape(len(cells), len(target))
    errors = np.sqrt(np.mean((tokens - np.array([*target.values()])) ** 2, axis=1))
    best = int(np.argmin(errors))
    report(f"{platform.name}: {cells[best]}, rms {errors[best]:.2f} tokens on Figure 12")
    return cells[best]


Timetables = Mapping[float, pl.DataFrame]


def fit_scale(
    platform: Platform, base: Deployment, trees: Trees, family: str, timetables: Timetables, report: Report
) -> float:
    """One step-cost scale of an engine family."""
    trials = LowerHalf(platform, family, timetables, lambda scale: trees.applied_to(base, {family: scale}))
    best, rms = trials.best(SCALES, FINE_STEPS)
    report(f"{platform.name} scaled: {family} x {best:.2f}, rms {rms:.1f} points on the lower rates")
    return round(best, 2)


def fit_expanded(
    platform: Platform, base: Deployment, trees: Trees, scale: float, timetables: Timetables, report: Report
) -> float:
    """Seconds of the host for each sequence of an expanded batch, with the steps of chains scaled."""
    trials = LowerHalf(platform, CHAINS, timetables, lambda s: trees.applied_to(base, {CHAINS: scale}, s))
    best, rms = trials.best(EXPANDED_S, FINE_EXPANDED_S)
    report(f"{platform.name} scaled: {1e6 * best:.0f} us a sequence, rms {rms:.1f} points on the lower rates")
    return round(best, 6)


@dataclass(frozen=True)
class LowerHalf:
    """Least squares of one number on attainment at the lower half of Figure 8's rates, over the systems of a family."""

    platform: Platform
    family: str
    timetables: Timetables
    applied: Callable[[float], Deployment]

    def best(self, coarse: Iterable[float], steps: Iterable[float]) -> tuple[float, float]:
        """The number and its error: of the coarse values, then of the steps around the best of them."""
        found = self._errors(coarse)
        middle = min(found, key=found.__getitem__)
        fine = self._errors(middle + step for step in steps)
        best = min(fine, key=fine.__getitem__)
        return best, fine[best]

    def _errors(self, numbers: Iterable[float]) -> dict[float, float]:
        numbers = [number for number in numbers if number >= 0]
        rates = published_rates(self.platform)
        cells = [(system, rps) for system in FAMILIES[self.family] for rps in rates[: len(rates) // 2]]
        published = np.array([_published("fig8", self.platform, system)[rps] for system, rps in cells])
        trials = [self.applied(number) for number in numbers]
        runs = [(trial, self.platform, system, self.timetables[rps]) for trial in trials for system, rps in cells]
        ours = np.array(_measure_all(runs))[:, 1].reshape(len(numbers), len(cells))
        rms = np.sqrt(np.mean((ours - published) ** 2, axis=1))
        return dict(zip(numbers, rms.tolist(), strict=True))


Run = tuple[Deployment, Platform, str, pl.DataFrame]


def _measure_all(runs: list[Run]) -> list[tuple[float, float]]:
    """Mean tokens a verification and attainment of many runs, in parallel, in their order."""
    return list(Parallel(n_jobs=-1)(delayed(_measure)(*run) for run in runs))


def _measure(deployment: Deployment, platform: Platform, system: str, timetable: pl.DataFrame) -> tuple[float, float]:
    setup = Setup(parse_system(system), platform.model, platform.hardware, "trial")
    metrics = summarize(simulate(timetable, setup, deployment).requests)
    return metrics["mean_tokens_per_verification"] or 0.0, metrics["attainment_pct"]
