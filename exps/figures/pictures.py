"""Pictures as data: which rows of a figure's metrics are drawn, and by what they are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from plots.axes import Axis, Bound, Panels

Caption = Callable[[pl.DataFrame], str]
"""What a picture of these rows says below."""
Draw = Callable[[pl.DataFrame, Caption, Path, str], list[Path]]
Rows = Callable[[pl.DataFrame], pl.DataFrame]
TIME = Axis("time_s", "Time (s)", (0, None))


def _all(metrics: pl.DataFrame) -> pl.DataFrame:
    return metrics


def _nothing(metrics: pl.DataFrame) -> None:
    return None


def _none(metrics: pl.DataFrame) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Curves:
    """Curves over time or another column, one a ``series`` value; a panel a value of ``panels``, as plots.curves has it.

    ``metric``: whose rows, where the metrics have names beside values. ``rows``: which of them, with more columns.
    ``published`` and ``bounds``, by the metrics, stand beside them. ``labels`` names series, and panels that are only a
    column. ``by_setting``: a picture a setting.
    """

    stem: str
    y: Axis
    x: Axis = TIME
    series: str = "system"
    panels: Panels | str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    metric: str | None = None
    rows: Rows = _all
    published: Callable[[pl.DataFrame], pl.DataFrame | None] = _nothing
    bounds: Callable[[pl.DataFrame], Sequence[Bound]] = _none
    by_setting: bool = False

    def draw(self, metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
        """Write folder/stem-suffix.pdf and .png."""
        from plots.curves import curves

        paths: list[Path] = []
        for stem, part in _pictures(self, metrics):
            drawn = part if self.metric is None else part.filter(metric=self.metric)
            rows = self.rows(drawn)
            panels = self.panels
            if isinstance(panels, str):
                names = rows[panels].unique(maintain_order=True)
                panels = Panels(panels, {name: self.labels.get(name, name) for name in names})
            paths += curves(rows, self.published(part), x=self.x, y=self.y, path=folder / f"{stem}-{suffix}",
                            series=self.series, panels=panels, bounds=self.bounds(part), labels=self.labels,
                            footer=caption(drawn))
        return paths


@dataclass(frozen=True)
class Bars:
    """Bars in groups: ``rows`` gives panel, group, series and value; ``published`` what stands beside rows of ours.

    ``panels`` are labels by value of those that are drawn where they have rows. The rest is as plots.groups has it.
    """

    stem: str
    panels: Mapping[str, str] = field(hash=False)
    x: str
    labels: Mapping[str, str] = field(hash=False)
    rows: Rows
    published: Callable[[pl.DataFrame], pl.DataFrame | None] = _nothing
    symlog: bool = False
    by_setting: bool = False

    def draw(self, metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
        """Write folder/stem-suffix.pdf and .png."""
        from plots.groups import grouped_bars

        paths: list[Path] = []
        for stem, part in _pictures(self, metrics):
            rows = self.rows(part)
            there = {panel: label for panel, label in self.panels.items() if panel in set(rows["panel"])}
            paths += grouped_bars(rows, self.published(part), panels=there, labels=self.labels, x=self.x,
                                  path=folder / f"{stem}-{suffix}", symlog=self.symlog, footer=caption(part))
        return paths


def _pictures(picture: Curves | Bars, metrics: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if not picture.by_setting:
        yield picture.stem, metrics
        return
    for setting in metrics["setting"].unique(maintain_order=True):
        yield f"{picture.stem}-{setting}", metrics.filter(setting=setting)


def all_of(*pictures: Curves | Bars) -> Draw:
    """A figure's ``draw``: these pictures."""

    def draw(*where: Any) -> list[Path]:
        return [path for picture in pictures for path in picture.draw(*where)]

    return draw


def by_limit(columns: Mapping[str, str]) -> Rows:
    """Rows of bars: a panel a column, a group a value of the limit."""

    def rows(metrics: pl.DataFrame) -> pl.DataFrame:
        grouped = metrics.sort("limit", maintain_order=True).with_columns(group=pl.col("limit").cast(pl.Int64).cast(pl.String))
        found = grouped.unpivot(on=list(columns), index=["system", "group"], variable_name="panel", value_name="value")
        return found.rename({"system": "series"})

    return rows
