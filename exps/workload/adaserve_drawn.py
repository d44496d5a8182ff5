"""AdaServe's workloads drawn from the statistics of its artifact's traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from exps.workload.adaserve_loads import CATEGORIES, TRACE_S, Load, kinds_of, requests_at
from exps.workload.arrivals import ModulatedPoisson

PROMPT_LENGTHS = Path(__file__).parent / "data" / "prompt_lengths.csv"
PEAK_RPS, SPREAD_S = 4.0, 50.4
Floats = NDArray[np.float64]


def draw_emission(
    load: Load,
    levels: np.random.Generator,
    gaps: np.random.Generator,
    kinds: np.random.Generator,
    prompts: np.random.Generator,
) -> pl.DataFrame:
    """What an emission file holds: arrival_s, prompt_tokens, slo_ratio, category."""
    if load.fluctuating:
        arrival_s, kind = _three_peaks(gaps)
    else:
        count = requests_at(load.rps)
        arrival_s = ModulatedPoisson().draw(count, levels, gaps)
        arrival_s *= TRACE_S / arrival_s[-1]
        kind = kinds_of(kinds.random(count), load.shares)
    return pl.DataFrame(
        {
            "arrival_s": arrival_s,
            "prompt_tokens": _prompt_tokens(kind, prompts.random(len(kind))),
            "slo_ratio": np.array(load.ratios)[kind],
            "category": np.array([category.name for category in CATEGORIES])[kind],
        }
    )


def expected_until(seconds: Floats | float, peak_s: float) -> Floats:
    """Requests of a category by then: its rate is PEAK_RPS exp(-(t - peak_s)^2 / (2 SPREAD_S^2)) (Figure 13)."""
    whole = PEAK_RPS * SPREAD_S * np.sqrt(2 * np.pi)
    return np.asarray(whole * (ndtr((np.asarray(seconds) - peak_s) / SPREAD_S) - ndtr(-peak_s / SPREAD_S)))


def _three_peaks(rng: np.random.Generator) -> tuple[Floats, NDArray[np.intp]]:
    ticks = np.linspace(0.0, TRACE_S, 3601)
    arrivals = []
    for category in CATEGORIES:
        expected = expected_until(ticks, category.peak_s)
        arrivals.append(np.interp(rng.random(round(float(expected[-1]))) * expected[-1], expected, ticks))
    arrival_s, kind = np.concatenate(arrivals), np.repeat(np.arange(len(arrivals)), [len(times) for times in arrivals])
    order = np.argsort(arrival_s, kind="stable")
    return arrival_s[order], kind[order]


def _prompt_tokens(kind: NDArray[np.intp], quantile: Floats) -> NDArray[np.int64]:
    table = pl.read_csv(PROMPT_LENGTHS)
    lengths = [np.interp(quantile, table["quantile"], table[category.name]) for category in CATEGORIES]
    return np.rint(np.choose(kind, lengths)).astype(np.int64)
