"""Sheets: a grid of panels, a metric each, as curves over rounds or as bars of systems."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from plots.axes import Axis, Limits
from plots.curves import FOOTER_CHARACTERS_PER_IN, FOOTER_ROW_IN, LEGEND_ROW_IN
from plots.style import GREY, PAGE_IN, SMALL_PT, TEXT_PT, house_style, legend_columns, save

PANEL_IN, ROW_IN, AROUND_IN, LINE_IN, TITLE_IN = 1.35, 0.155, 0.5, 0.15, 0.2
WIDE_IN, NARROW_IN, ENTRY_IN = PAGE_IN, 4.6, 1.75
THICKNESS, PALE = 0.8, 0.45


@dataclass(frozen=True)
class Stroke:
    """How a curve is drawn; one without a ``label`` is not in the legend."""

    colour: str
    label: str | None = None
    line: str = "-"
    marker: str = ""


@dataclass(frozen=True)
class Bars:
    """A panel of bars: ``columns`` (name to label), one beside the other, or ``stacked``."""

    columns: Mapping[str, str]
    label: str
    stacked: bool = False
    limits: Limits = (0, None)


@dataclass(frozen=True)
class _Sheet:
    width: float
    panels: int
    columns: int
    title: str
    footer: str


def line_sheet(
    rows: pl.DataFrame,
    panels: Sequence[Axis],
    *,
    columns: int,
    x: Axis,
    series: str,
    strokes: Mapping[str, Stroke],
    path: Path,
    title: str = "",
    footer: str = "",
    entries: Sequence[Stroke] = (),
    whole: bool = True,
    panel_in: float = PANEL_IN,
) -> tuple[Path, Path]:
    """A panel for each of ``panels`` over ``x``, a curve for each ``series`` value that has a stroke.

    ``entries`` go into the legend beside the labelled strokes. ``whole``: x is counted. ``panel_in``: height of a panel.
    Writes and returns ``path``.pdf and ``path``.png.
    """
    labelled = [stroke for stroke in (*strokes.values(), *entries) if stroke.label]
    handles = [Line2D([], [], **_look(stroke), label=stroke.label) for stroke in labelled]
    width = WIDE_IN if columns > 1 else NARROW_IN
    with house_style():
        figure, axes = _grid(_Sheet(width, len(panels), columns, title, footer), panel_in, handles, "x")
        for axis, panel in zip(axes, panels, strict=True):
            for name, stroke in strokes.items():
                curve = rows.filter(pl.col(series) == name).select(x.column, panel.column).drop_nulls().sort(x.column)
                axis.plot(curve[x.column], curve[panel.column], **_look(stroke))
            axis.set_title(panel.label, fontsize=TEXT_PT)
            _limit(axis, panel.limits)
            axis.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=whole, steps=[1, 2, 5, 10]))
            _tidy(axis)
        for axis in axes[-columns:]:
            axis.set_xlabel(x.label)
        return save(figure, path)


def bar_sheet(
    rows: pl.DataFrame,
    panels: Sequence[Bars],
    *,
    columns: int,
    category: str,
    names: Mapping[str, str],
    colours: Mapping[str, str],
    path: Path,
    title: str = "",
    footer: str = "",
) -> tuple[Path, Path]:
    """Horizontal bars, a row for each ``category`` value in the order of ``names`` (value to label) that ``rows`` has.

    Writes and returns ``path``.pdf and ``path``.png.
    """
    known = {row[category]: row for row in rows.iter_rows(named=True)}
    there = {name: known[name] for name in names if name in known}
    with house_style():
        height = ROW_IN * max(2, len(there)) + AROUND_IN + LINE_IN * max(panel.label.count("\n") for panel in panels)
        figure, axes = _grid(_Sheet(WIDE_IN, len(panels), columns, title, footer), height, (), "y")
        for axis, panel in zip(axes, panels, strict=True):
            _draw_bars(axis, panel, there, colours)
        axes[0].set_yticks(range(len(there)), [names[name] for name in there])
        axes[0].invert_yaxis()
        return save(figure, path)


def _draw_bars(axis: Axes, panel: Bars, there: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    thick = THICKNESS if panel.stacked else THICKNESS / len(panel.columns)
    for place, (name, row) in enumerate(there.items()):
        left, top = 0.0, place - (THICKNESS - thick) / 2
        for number, column in enumerate(panel.columns):
            value = row[column] or 0.0
            y = place if panel.stacked else top + number * thick
            axis.barh(y, value, thick, left, color=colours[name], alpha=PALE if number else 1.0, linewidth=0)
            left += value if panel.stacked else 0.0
    if len(panel.columns) > 1:
        patches = [Patch(color=GREY, alpha=PALE if n else 1.0, label=label) for n, label in enumerate(panel.columns.values())]
        axis.legend(handles=patches, fontsize=SMALL_PT, ncols=len(patches), frameon=False, loc="lower left",
                    bbox_to_anchor=(-0.02, 0.97), borderaxespad=0.1, handlelength=1.2)
    axis.set_xlabel(panel.label)
    axis.set_xlim(*panel.limits)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))


def _grid(sheet: _Sheet, panel_in: float, handles: Sequence[Line2D], shared: str) -> tuple[Figure, list[Axes]]:
    """Panels row by row, below the title and the legend and above the footer; they share the ``shared`` axis."""
    rows, in_a_row = ceil(sheet.panels / sheet.columns), max(1, int(sheet.width // ENTRY_IN))
    in_a_row = legend_columns([str(handle.get_label()) for handle in handles], sheet.width, in_a_row)
    lines = textwrap.wrap(sheet.footer, width=int(sheet.width * FOOTER_CHARACTERS_PER_IN))
    bottom = (len(lines) + 0.5) * FOOTER_ROW_IN if lines else 0.0
    legend = ceil(len(handles) / in_a_row) * LEGEND_ROW_IN
    height = rows * panel_in + legend + bottom + TITLE_IN * bool(sheet.title)
    layout = ConstrainedLayoutEngine(rect=(0, bottom / height, 1, 1 - bottom / height))
    figure = Figure(figsize=(sheet.width, height), layout=layout)
    axes = figure.subplots(rows, sheet.columns, squeeze=False, sharex=shared == "x", sharey=shared == "y").flatten().tolist()
    for spare in axes[sheet.panels :]:
        spare.remove()
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=in_a_row, frameon=False, title=sheet.title or None,
                      title_fontsize=TEXT_PT + 1)
    elif sheet.title:
        figure.suptitle(sheet.title, fontsize=TEXT_PT + 1)
    figure.text(0.01, 0.01, "\n".join(lines), fontsize=SMALL_PT, color=GREY, va="bottom")
    return figure, axes[: sheet.panels]


def _look(stroke: Stroke) -> dict[str, Any]:
    return {"color": stroke.colour, "linestyle": stroke.line, "marker": stroke.marker, "linewidth": 1.2, "markersize": 3.0}


def _limit(axis: Axes, limits: Limits) -> None:
    """The limits, with room above for a curve that runs along the top."""
    bottom, top = limits
    axis.set_ylim(bottom, top)
    if top is None:
        low, high = axis.get_ylim()
        axis.set_ylim(top=high + 0.06 * (high - low))


def _tidy(axis: Axes) -> None:
    axis.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    if axis.get_ylim()[1] >= 10_000:
        axis.yaxis.set_major_formatter(EngFormatter(sep=""))
