"""Every claim of every figure: it can fail, and whatever it is given it does not raise."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, UNPUBLISHED, judge_one
from exps.figures.figure import Options, Record, Selection
from exps.figures.numbers import MissingError, Numbers, table_of
from exps.papers.registry import FIGURES, expand
from exps.run.plan import setup_of
from exps.run.simulation import simulate

SERVED: dict[tuple[object, ...], Record] = {}
"""Records by place, system and requests: figures may share points."""
FEW, REQUESTS, MANY, TRIALS = 10, 2000, 40, 60
KEYS = {
    "rps", "urgent", "peak_rps", "c1", "c2", "n_max_share", "budget", "x", "limit", "scenario", "slo_scale", "load", "alpha",
    "clients", "time_s", "rank", "round", "requests", "stride", "ratio", "adapters", "batch",
}
JUDGED = [
    (figure.id, claim.id, model)
    for figure in FIGURES.values()
    for claim in figure.claims
    for model, published in claim.published.items()
    if published != UNPUBLISHED and not claim.given and figure.id != "adaserve/fig9" and figure.backend is None
]


@cache
def metrics_of(name: str) -> pl.DataFrame:
    """The metrics of all points of a figure, each of the first requests of its workload, as if these were the artifact's."""
    figure = FIGURES[name]
    points, options = expand(figure, Selection(), Options(quick=not figure.claims))
    options = replace(options, quick=False)
    source, records, sent = Options(traces=Path()).workload_source, [], {}
    requests = REQUESTS if len(points) <= FEW else MANY
    for point in points:
        at = point.served
        place, setup = (at.platform, at.x), setup_of(at, options)
        key = (figure.points_folder, *place, at.system, requests)
        if key not in SERVED:
            if place not in sent:
                sent[place] = figure.timetable(*place, options).head(requests)
            found = simulate(sent[place], setup)
            policies = setup.parameters(setup.deployment())
            configuration = {"workload": {"source": source}, "policies": policies}
            SERVED[key] = Record(at, found.requests, found.steps, {"configuration": configuration, "facts": found.facts})
        records.append(replace(SERVED[key], point=point))
    return figure.measure(records)


def other_numbers(metrics: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The same rows with any numbers in place of those that were measured: small and large ones, or large ones alone."""
    least, most = ((-3, 3), (1, 7))[rng.integers(2)]
    measured = [name for name, dtype in metrics.schema.items() if dtype.is_numeric() and name not in KEYS]
    drawn = {name: 10 ** rng.uniform(least, most, metrics.height) for name in measured}
    return metrics.with_columns(pl.Series(name, values).cast(metrics.schema[name]) for name, values in drawn.items())


def of_place(metrics: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows of a model, or of a setting where the figure has several."""
    return metrics.filter(pl.any_horizontal(pl.col(name) == key for name in ("model", "setting") if name in metrics.columns))


def claim_of(figure: str, claim: str):
    return next(found for found in FIGURES[figure].claims if found.id == claim)


@pytest.mark.parametrize(("figure", "claim", "model"), JUDGED)
def test_a_claim_can_fail(figure: str, claim: str, model: str) -> None:
    rng, of_model = np.random.default_rng(1), of_place(metrics_of(figure), model)
    statuses = (judge_one(claim_of(figure, claim), other_numbers(of_model, rng)).status for _ in range(TRIALS))
    assert FAILS in statuses


@pytest.mark.parametrize("figure", sorted({figure for figure, _, _ in JUDGED}))
def test_without_some_of_its_rows_or_values_no_claim_raises(figure: str) -> None:
    rng, metrics = np.random.default_rng(2), metrics_of(figure)
    measured = [name for name, dtype in metrics.schema.items() if dtype.is_numeric() and name not in KEYS]
    parts = [metrics.head(0), metrics.sample(fraction=0.3, seed=1), other_numbers(metrics, rng)]
    for value in (0, None):
        parts.append(metrics.with_columns(pl.lit(value).cast(metrics.schema[name]).alias(name) for name in measured))
    parts += [metrics.filter(pl.col("system") != gone) for gone in FIGURES[figure].systems if "system" in metrics.columns]
    for part in parts:
        for claim in FIGURES[figure].claims:
            assert judge_one(claim, part).status in (HOLDS, FAILS, NOT_JUDGED)


@pytest.mark.parametrize("figure", sorted({figure for figure, _, _ in JUDGED}))
def test_on_numbers_that_are_there_no_judge_errs(figure: str) -> None:
    metrics = other_numbers(metrics_of(figure), np.random.default_rng(3))
    for claim in FIGURES[figure].claims:
        for key in metrics["setting" if "setting" in metrics.columns else "model"].unique():
            with suppress(MissingError):
                claim.judge(Numbers(of_place(metrics, key)))


@pytest.mark.parametrize("figure", [
    name for name, figure in FIGURES.items() if figure.points_of is None and figure.backend is None
])
def test_every_figures_metrics_are_a_table_that_names_each_system(figure: str) -> None:
    table = table_of(metrics_of(figure), FIGURES[figure].sweep.axis)
    named = " ".join(table.to_series(0))
    assert all(system in named for system in metrics_of(figure)["system"].unique())
    assert table.to_series(0).n_unique() == table.height and table.width > 1
