"""What commands print by name is defined in docs/metrics.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exps.commands.simulate import CLIENT_COLUMNS
from exps.figures.figure import Options, Record, Selection
from exps.figures.numbers import X
from exps.metrics.fairness import fairness
from exps.metrics.requests import summarize
from exps.papers.registry import FIGURES, expand
from exps.run.plan import setup_of
from exps.run.simulation import simulate

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
KEYS = {"model", "setting", "system", "client", "metric", "value", "time_s", X}


@pytest.fixture(scope="module")
def defined():
    """The names in the page: columns of records, and those in the first two cells of a metric's row."""
    symbols, _, metrics = PAGE.read_text(encoding="utf-8").partition("## Requests")
    cells = [cell for row in re.findall(r"^\| .*", metrics, re.MULTILINE) for cell in row.split(" | ")[:2]]
    return set(re.findall(r"`(\w+)`", " ".join([symbols, *cells])))


def record_of(figure):
    """The first point of a quick run, simulated."""
    points, options = expand(figure, Selection(systems=figure.systems[:1]), Options(backend="sim", quick=True))
    point = points[0]
    setup = setup_of(point, options)
    served = simulate(figure.timetable(point.platform, point.x, options), setup)
    configuration = {"workload": {"source": options.workload_source}, "policies": setup.parameters(setup.deployment())}
    return Record(point, served.requests, served.steps, {"configuration": configuration})


@pytest.mark.parametrize("figure", [pytest.param(figure, id=name) for name, figure in FIGURES.items() if not figure.backend])
def test_what_a_figure_measures_is_defined(figure, defined):
    metrics = figure.measure([record_of(figure)])
    names = {*metrics.columns, *(metrics["metric"] if "metric" in metrics.columns else ())}
    assert names - KEYS - {figure.sweep.axis} <= defined


def test_what_simulate_prints_is_defined(defined):
    requests = record_of(FIGURES["vtc/fig3"]).requests
    assert {*summarize(requests), *fairness(requests), *CLIENT_COLUMNS} - KEYS <= defined
