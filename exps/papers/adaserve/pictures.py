"""Pictures of AdaServe's figures: a metric over what is swept, a panel a model, beside the published values."""

from __future__ import annotations

import polars as pl

from exps.figures.figure import Platform
from exps.figures.pictures import Curves
from exps.papers.adaserve.evaluation import PLATFORMS
from exps.run.local import PAIRS
from plots.axes import Axis, Panels

ATTAINMENT = Axis("attainment_pct", "SLO attainment (%)", (0, 100))
GOODPUT = Axis("goodput_tokens_per_s", "Goodput (tokens/s)", (0, None))
RPS = Axis("rps", "Requests per second")
SHARE = Axis("urgent", "Share of urgent requests")
SCALE = Axis("slo_scale", "SLO of urgent requests / baseline latency")
PUBLISHED = {ATTAINMENT.column: "slo_attainment_pct", GOODPUT.column: "goodput_tokens_per_s"}


def titles(platforms: tuple[Platform, ...] = (*PLATFORMS, *PAIRS)) -> dict[str, str]:
    """By the names of the models."""
    return {platform.name: platform.title for platform in platforms}


def over(figure: str, x: Axis, y: Axis, stem: str = "", published: str | None = None) -> Curves:
    """The metric ``y`` over ``x``; ``published`` is its column in published/``figure``.csv, where that has another name."""
    column = published or PUBLISHED.get(y.column)

    def theirs(metrics: pl.DataFrame) -> pl.DataFrame | None:
        from exps.figures.published import read_published

        found = read_published("adaserve", figure).rename({str(column): y.column})
        return found if set(found["model"]) & set(metrics["model"]) else None

    panels = Panels("model", titles())
    if column is None:
        return Curves(stem or figure, y, x, panels=panels)
    return Curves(stem or figure, y, x, panels=panels, published=theirs)
