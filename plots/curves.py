"""Curves of ours (solid, markers) over published ones (dashed, same colour)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from plots.axes import Axis, Bound, Limits, Panels
from plots.style import COLUMN_IN, GREY, PAGE_IN, SMALL_PT, Look, fitted, house_style, legend_columns, looks_of, save

PANEL_IN = 2.25
MARKERS = 10
LEGEND_ROW_IN, MARGIN_IN = 0.165, 0.4
FOOTER_ROW_IN = 0.115
FOOTER_CHARACTERS_PER_IN = 19.5

PUBLISHED: dict[str, Any] = {"linestyle": (0, (3, 1.6)), "linewidth": 1.0}


def curves(
    ours: pl.DataFrame,
    published: pl.DataFrame | None,
    *,
    x: Axis,
    y: Axis,
    path: Path,
    series: str = "system",
    panels: Panels | None = None,
    bounds: Sequence[Bound] = (),
    labels: Mapping[str, str] | None = None,
    footer: str = "",
) -> tuple[Path, Path]:
    """A quantity over time or a swept value, one curve a ``series`` value; a marker a point, or about ten on long curves.

    ``ours`` and ``published`` hold the columns of ``x``, ``y``, ``series`` and ``panels``; published series and panels
    that ours lacks are left out. ``labels`` renames series in the legend. ``footer`` says what the numbers come from,
    ``bounds`` are lines to compare with.
    Writes and returns ``path``.pdf and ``path``.png.
    """
    return _draw(_Picture(ours, published, x, y, series, panels, labels or {}, footer, bounds), path)


@dataclass(frozen=True)
class _Picture:
    ours: pl.DataFrame
    published: pl.DataFrame | None
    x: Axis
    y: Axis
    series: str
    panels: Panels | None
    labels: Mapping[str, str]
    footer: str
    bounds: Sequence[Bound] = ()

    def looks(self) -> dict[str, Look]:
        names = self.ours[self.series].unique(maintain_order=True).to_list()
        looks = looks_of(names)
        return {name: replace(look, label=self.labels.get(name, look.label)) for name, look in looks.items()}

    def panel_values(self) -> list[tuple[str | None, str]]:
        """(value, title) of each panel that ours has rows for."""
        if self.panels is None:
            return [(None, "")]
        there = set(self.ours[self.panels.column])
        return [(value, title) for value, title in self.panels.titles.items() if value in there]

    def curve(self, frame: pl.DataFrame | None, panel: str | None, name: str) -> pl.DataFrame:
        """The x and y columns of one curve, sorted by x, without gaps' rows."""
        if frame is None:
            return pl.DataFrame({self.x.column: [], self.y.column: []})
        rows = frame.filter(pl.col(self.series) == name)
        if self.panels is not None and panel is not None and self.panels.column in frame.columns:
            rows = rows.filter(pl.col(self.panels.column) == panel)
        return rows.select(self.x.column, self.y.column).drop_nulls().sort(self.x.column)


def _draw(picture: _Picture, path: Path) -> tuple[Path, Path]:
    panels, looks = picture.panel_values(), picture.looks()
    width, columns = (COLUMN_IN, 2) if len(panels) == 1 else (PAGE_IN, 4)
    footer = textwrap.wrap(picture.footer, width=int(width * FOOTER_CHARACTERS_PER_IN))
    with house_style():
        entries = _legend_entries(picture, looks)
        columns = legend_columns([look.label for look in looks.values()], width, columns)
        bottom = (len(footer) + 0.5) * FOOTER_ROW_IN if footer else 0.0
        height = PANEL_IN + ceil(len(entries) / columns) * LEGEND_ROW_IN + bottom
        layout = ConstrainedLayoutEngine(rect=(0, bottom / height, 1, 1 - bottom / height))
        figure = Figure(figsize=(width, height), layout=layout)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (panel, title) in zip(axes, panels, strict=True):
            _draw_panel(axis, picture, panel, looks, width / len(panels) - MARGIN_IN)
            axis.set_title(title)
        _limit(axes, picture.y)
        axes[0].set_ylabel(picture.y.label)
        figure.legend(handles=entries, loc="outside upper center", ncols=columns, frameon=False)
        figure.text(0.01, 0.02, "\n".join(footer), fontsize=SMALL_PT, color=GREY, va="bottom")
        return save(figure, path)


def _draw_panel(axes: Axes, picture: _Picture, panel: str | None, looks: Mapping[str, Look], width: float) -> None:
    x, y = picture.x, picture.y
    for name, look in looks.items():
        there = picture.curve(picture.published, panel, name)
        axes.plot(there[x.column], there[y.column], color=look.colour, **PUBLISHED)
    for name, look in looks.items():
        ours = picture.curve(picture.ours, panel, name)
        every = max(1, ours.height // MARKERS)
        axes.plot(ours[x.column], ours[y.column], markevery=every, **_line(look))
    for bound in picture.bounds:
        _draw_bound(axes, bound)
    axes.set_xlabel(fitted(x.label, width))
    axes.set_xlim(*x.limits)
    for ticks in (axes.xaxis, axes.yaxis):
        ticks.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _limit(panels: Sequence[Axes], y: Axis) -> None:
    """The y limits, once every panel has its curves, since they share the axis."""
    panels[0].set_ylim(*_with_headroom(y.limits))
    if panels[0].get_ylim()[1] >= 10_000:
        for axes in panels:
            axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _with_headroom(limits: Limits) -> Limits:
    """Limits that leave markers on the upper end whole."""
    bottom, top = limits
    return (bottom, top if top is None else top + 0.03 * (top - (bottom or 0.0)))


def _draw_bound(axes: Axes, bound: Bound) -> None:
    axes.axhline(bound.value, color=GREY, linewidth=0.8, linestyle=":")
    place: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "xytext": (-2, 2), "textcoords": "offset points"}
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.annotate(bound.label, (1, bound.value), ha="right", va="bottom", color=GREY, **place)


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "marker": look.marker, "linestyle": look.line}


def _legend_entries(picture: _Picture, looks: Mapping[str, Look]) -> list[Line2D]:
    entries = [Line2D([], [], label=look.label, **_line(look)) for look in looks.values()]
    if picture.published is not None:
        entries.append(Line2D([], [], color=GREY, label="this run"))
        entries.append(Line2D([], [], color=GREY, label="published", **PUBLISHED))
    return entries
