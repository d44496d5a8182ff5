"""Horizontal bars of ours with a mark where the published value is; histograms."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from plots.curves import FOOTER_CHARACTERS_PER_IN, FOOTER_ROW_IN
from plots.style import BLACK, BLUE, COLUMN_IN, GREY, PAGE_IN, SKY, SMALL_PT, house_style, save

ROW_IN, AXES_IN, HISTOGRAM_IN = 0.22, 1.0, 1.9
THICKNESS = 0.78
COLOURS = (BLUE, SKY)
MARK: dict[str, Any] = {
    "color": BLACK, "marker": "D", "markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "linestyle": "none",
}


def row_bars(
    ours: pl.DataFrame, published: pl.DataFrame, *, panels: Mapping[str, str], path: Path, footer: str = ""
) -> tuple[Path, Path]:
    """A panel a ``panel`` value, in the order of ``panels`` (value to title); a row a ``row`` value; a bar a ``series``.

    Both frames have the columns row, panel and value, ours also series (at most two); published rows that ours lacks are
    left out. Writes and returns ``path``.pdf and ``path``.png.
    """
    rows, series = (ours[name].unique(maintain_order=True).to_list() for name in ("row", "series"))
    entries: list[Any] = [Patch(color=colour, label=name) for name, colour in zip(series, COLOURS, strict=False)]
    entries.append(Line2D([], [], label="published", **MARK))
    height = AXES_IN + ROW_IN * len(rows) * (1 + 0.35 * (len(series) - 1))
    with house_style():
        figure, axes = row_of_panels(PAGE_IN, height, len(panels), footer)
        for axis, (panel, title) in zip(axes, panels.items(), strict=True):
            _draw_rows(axis, ours.filter(panel=panel), published.filter(panel=panel), rows, series)
            axis.set_title(title)
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].invert_yaxis()
        figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), frameon=False)
        return save(figure, path)


def histograms(
    frame: pl.DataFrame, *, columns: Mapping[str, str], y: str, bins: int, path: Path, footer: str = ""
) -> tuple[Path, Path]:
    """A histogram of each of ``columns`` (name to label) side by side, with a line at its mean; ``y`` says what is counted."""
    with house_style():
        figure, axes = row_of_panels(COLUMN_IN, HISTOGRAM_IN, len(columns), footer)
        for axis, (column, label) in zip(axes, columns.items(), strict=True):
            values = frame[column].drop_nulls().to_numpy()
            axis.hist(values, bins=np.linspace(0, values.max(), bins + 1).tolist(), color=BLUE)
            axis.axvline(values.mean(), color=BLACK, linewidth=0.8, linestyle=":")
            axis.annotate(f"mean {values.mean():.0f}", (values.mean(), 0.98), xycoords=("data", "axes fraction"),
                          xytext=(3, 0), textcoords="offset points", va="top")
            axis.set_xlabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        axes[0].set_ylabel(y)
        return save(figure, path)


def _draw_rows(axis: Axes, ours: pl.DataFrame, published: pl.DataFrame, rows: list[str], series: list[str]) -> None:
    place = {name: number for number, name in enumerate(rows)}
    thick = THICKNESS / len(series)
    for number, (name, colour) in enumerate(zip(series, COLOURS, strict=False)):
        part = ours.filter(series=name)
        shift = (number - (len(series) - 1) / 2) * thick
        axis.barh([place[row] + shift for row in part["row"]], part["value"], height=thick, color=colour)
    there = published.filter(pl.col("row").is_in(rows)).drop_nulls("value")
    (marks,) = axis.plot(there["value"], [place[row] for row in there["row"]], clip_on=False, **MARK)
    marks.set_in_layout(False)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))


def row_of_panels(width: float, height: float, panels: int, footer: str, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """A row of panels above the footer; ``height`` without it."""
    lines = textwrap.wrap(footer, width=int(width * FOOTER_CHARACTERS_PER_IN))
    bottom = (len(lines) + 0.5) * FOOTER_ROW_IN if lines else 0.0
    layout = ConstrainedLayoutEngine(rect=(0, bottom / (height + bottom), 1, height / (height + bottom)))
    figure = Figure(figsize=(width, height + bottom), layout=layout)
    figure.text(0.01, 0.02, "\n".join(lines), fontsize=SMALL_PT, color=GREY, va="bottom")
    return figure, list(figure.subplots(1, panels, sharey=sharey, squeeze=False)[0])
