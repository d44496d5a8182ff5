"""Whom throttling hits and what it costs each of them; how much service clients have after 100 s."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from exps.fairserve import claims
from exps.fairserve.measures import counters, of_points, per_client
from exps.fairserve.points import (
    AT_LIMIT,
    FAIRSERVE,
    POINTS,
    RPM,
    SHARED,
    SWEEP,
    TITLES,
    VTC,
    WO,
    WOI,
    WSC,
    W,
    limited,
    timetable,
)
from exps.fairserve.server import PACED, SETTINGS
from exps.figure import Figure

EACH = {
    "aborted_interactions": "Aborted interactions",
    "aborted_requests": "Aborted requests",
    "wasted_prompt_tokens": "Wasted prompt tokens",
}
SHOWN = {"paced": "Paced", "burst": "Burst"}


def draw_aborted(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Mean over the throttled clients, with the 5th and 95th percentile."""
    from plots.groups import grouped_bars

    rows = metrics.filter(pl.col("metric").is_in(list(EACH))).rename({"metric": "panel", "system": "series"})
    rows = rows.with_columns(group=pl.col("setting").replace(SHOWN))
    return list(
        grouped_bars(rows, panels=EACH, labels=TITLES, x="Limit 50 a minute",
                     path=folder / f"aborted-{suffix}", footer=caption)
    )  # fmt: skip


def draw_throttled(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Requests sent by a throttled client, over the limits: mean, 5th and 95th percentile; a panel a platform."""
    from plots.groups import grouped_bars

    rows = metrics.filter(metric="sent_requests").sort("limit", maintain_order=True)
    rows = rows.rename({"setting": "panel", "system": "series"})
    rows = rows.with_columns(group=pl.col("limit").cast(pl.Int64).cast(pl.String))
    panels = {name: f"Requests sent ({SHOWN[name].lower()})" for name in _platforms(rows, "panel")}
    return list(
        grouped_bars(rows, panels=panels, labels=TITLES, x="Limit (requests a minute)",
                     path=folder / f"throttled-{suffix}", footer=caption)
    )  # fmt: skip


def draw_wsc(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Clients by their counter after 100 s; published values stand beside the paced ones."""
    from exps.published import read_published
    from plots.groups import grouped_bars

    names = {"setting": "panel", "system": "series", "class": "group", "clients": "value"}
    published = read_published("fairserve", "wsc").rename({name: new for name, new in names.items() if name != "setting"})
    rows = metrics.rename(names)
    panels = {name: f"Clients ({SHOWN[name].lower()})" for name in _platforms(rows, "panel")}

    return list(
        grouped_bars(rows, published.with_columns(panel=pl.lit(PACED.name)), panels=panels, labels=TITLES,
                     x="Weighted service counter after 100 s", path=folder / f"wsc-{suffix}", footer=caption)
    )  # fmt: skip


def _platforms(rows: pl.DataFrame, column: str) -> list[str]:
    there = set(rows[column])
    return [setting.name for setting in SETTINGS if setting.name in there]


def _figure(name: str, title: str, systems: tuple[str, ...], draw: Callable[..., list[Path]], **more: object) -> Figure:
    chosen = {"sweep": AT_LIMIT, "claims": (), **more}
    return Figure(id=f"fairserve/{name}", title=title, systems=systems, timetable=timetable, policies=limited, draw=draw,
                  points_of=POINTS, **SHARED, **chosen)  # type: ignore[arg-type]  # fmt: skip


ABORTED = _figure("aborted", "Interactions, requests and tokens that a throttled client loses", (RPM, W, WO, WOI, FAIRSERVE),
                  draw_aborted, measure=of_points(per_client), claims=claims.ABORTED)  # fmt: skip
THROTTLED = _figure("throttled", "How many requests throttled clients send", (RPM, VTC, WSC, FAIRSERVE), draw_throttled,
                    sweep=SWEEP, measure=of_points(per_client), claims=claims.THROTTLED)  # fmt: skip
COUNTERS = _figure("wsc", "Weighted service of clients after 100 s", (RPM, VTC, WSC, FAIRSERVE), draw_wsc,
                   measure=of_points(counters), claims=claims.COUNTERS)  # fmt: skip
BARS = (ABORTED, THROTTLED, COUNTERS)
