"""Whom throttling hits and what it costs each of them; how much service clients have after 100 s."""

from __future__ import annotations

import polars as pl

from exps.figures.pictures import Bars
from exps.papers.fairserve import claims
from exps.papers.fairserve.measures import counters, of_points, per_client
from exps.papers.fairserve.points import (
    AT_LIMIT,
    FAIRSERVE,
    RPM,
    SWEEP,
    TITLES,
    VTC,
    WO,
    WOI,
    WSC,
    W,
    figure,
)
from exps.papers.fairserve.server import PACED, SETTINGS

EACH = {
    "aborted_interactions": "Aborted interactions",
    "aborted_requests": "Aborted requests",
    "wasted_prompt_tokens": "Wasted prompt tokens",
}
SHOWN = {"paced": "Paced", "burst": "Burst"}


def _each(metrics: pl.DataFrame) -> pl.DataFrame:
    """Mean over the throttled clients, with the 5th and 95th percentile."""
    rows = metrics.filter(pl.col("metric").is_in(list(EACH))).rename({"metric": "panel", "system": "series"})
    return rows.with_columns(group=pl.col("setting").replace(SHOWN))


def _sent(metrics: pl.DataFrame) -> pl.DataFrame:
    """Requests sent by a throttled client, over the limits: mean, 5th and 95th percentile."""
    rows = metrics.filter(metric="sent_requests").sort("limit", maintain_order=True)
    rows = rows.rename({"setting": "panel", "system": "series"})
    return rows.with_columns(group=pl.col("limit").cast(pl.Int64).cast(pl.String))


def _classes(metrics: pl.DataFrame) -> pl.DataFrame:
    """Clients by their counter after 100 s."""
    return metrics.rename({"setting": "panel", "system": "series", "class": "group", "clients": "value"})


def _published_classes(metrics: pl.DataFrame) -> pl.DataFrame:
    """They stand beside the paced ones."""
    from exps.figures.published import read_published

    return _classes(read_published("fairserve", "wsc").with_columns(setting=pl.lit(PACED.name)))


def _by_setting(label: str) -> dict[str, str]:
    return {setting.name: f"{label} ({SHOWN[setting.name].lower()})" for setting in SETTINGS}


ABORTED = figure(
    "aborted", "Interactions, requests and tokens that a throttled client loses", (RPM, W, WO, WOI, FAIRSERVE), AT_LIMIT,
    of_points(per_client), Bars("aborted", EACH, "Limit 50 a minute", TITLES, _each).draw, claims.ABORTED,
)
THROTTLED = figure(
    "throttled", "How many requests throttled clients send", (RPM, VTC, WSC, FAIRSERVE), SWEEP, of_points(per_client),
    Bars("throttled", _by_setting("Requests sent"), "Limit (requests a minute)", TITLES, _sent).draw, claims.THROTTLED,
)
COUNTERS = figure(
    "wsc", "Weighted service of clients after 100 s", (RPM, VTC, WSC, FAIRSERVE), AT_LIMIT, of_points(counters),
    Bars("wsc", _by_setting("Clients"), "Weighted service counter after 100 s", TITLES, _classes, _published_classes).draw,
    claims.COUNTERS,
)
BARS = (ABORTED, THROTTLED, COUNTERS)
