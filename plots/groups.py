"""Bars side by side in groups, with ranges where there are some and marks where a published value is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from plots.bars import row_of_panels
from plots.curves import LEGEND_ROW_IN
from plots.style import BLACK, GREY, HATCHES, PAGE_IN, Look, fitted, house_style, legend_columns, looks_of, save

FEW = 1000
HEIGHT_IN, LABEL_IN, MARGIN_IN, WIDTH, LEGEND_COLUMNS = 2.2, 1.5, 0.6, 0.82, 6
MARK: dict[str, Any] = {"color": BLACK, "marker": "D", "markersize": 3.6, "linestyle": "none", "markeredgecolor": "white",
                        "markeredgewidth": 0.5}


def grouped_bars(
    ours: pl.DataFrame,
    published: pl.DataFrame | None = None,
    *,
    panels: Mapping[str, str],
    labels: Mapping[str, str],
    x: str,
    path: Path,
    symlog: bool = False,
    footer: str = "",
) -> tuple[Path, Path]:
    """A panel a ``panel`` value, in the order of ``panels`` (value to the label of its own y axis); a group of bars a
    ``group`` value, a bar a ``series`` value, in the order of the rows.

    ``ours`` has the columns panel, group, series and value, and may have low and high, the ends of a range around the value;
    ``published`` has the first four, and rows that ours lacks are left out. ``labels`` names series, ``x`` the groups. Where
    nothing is published a bar of height 0 gets a 0; ``symlog`` makes the axes logarithmic above 1. Writes and returns
    ``path``.pdf and ``path``.png.
    """
    series, groups = (ours[name].unique(maintain_order=True).to_list() for name in ("series", "group"))
    looks = looks_of(series)
    entries: list[Any] = [
        Patch(
            facecolor=looks[name].colour,
            edgecolor="white",
            linewidth=0,
            hatch=HATCHES[looks[name].line],
            label=labels.get(name, name),
        )
        for name in series
    ]
    if published is not None:
        entries.append(Line2D([], [], label="published", **MARK))
    columns = legend_columns([str(entry.get_label()) for entry in entries], PAGE_IN, LEGEND_COLUMNS)
    rows = -(-len(entries) // columns)
    with house_style():
        figure, axes = row_of_panels(PAGE_IN, HEIGHT_IN + rows * LEGEND_ROW_IN, len(panels), footer, sharey=False)
        for axis, (panel, label) in zip(axes, panels.items(), strict=True):
            _scale(axis, symlog)
            for number, name in enumerate(series):
                shift = (number - (len(series) - 1) / 2) * WIDTH / len(series)
                of_series = (pl.col("panel") == panel) & (pl.col("series") == name)
                _bars(axis, ours.filter(of_series), groups, shift, WIDTH / len(series), looks[name], published is None)
                if published is not None:
                    there = published.filter(of_series & pl.col("group").is_in(groups)).drop_nulls("value")
                    axis.plot([groups.index(group) + shift for group in there["group"]], there["value"], **MARK)
            axis.set_xticks(range(len(groups)), groups)
            axis.set_xlabel(fitted(x, PAGE_IN / len(panels) - MARGIN_IN))
            axis.set_ylabel(fitted(label, LABEL_IN))
            axis.set_ylim(bottom=0)
            if not symlog and axis.get_ylim()[1] < FEW:
                axis.yaxis.set_major_formatter("{x:g}")
        figure.legend(handles=entries, loc="outside upper center", ncols=min(len(entries), columns), frameon=False)
        return save(figure, path)


def _scale(axis: Axes, symlog: bool) -> None:
    axis.grid(visible=False, axis="x")
    axis.tick_params(axis="x", length=0)
    if symlog:
        axis.set_yscale("symlog", linthresh=1.0, linscale=0.3)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_minor_locator(MaxNLocator(1))
    else:
        axis.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(EngFormatter(sep=""))


def _bars(axis: Axes, rows: pl.DataFrame, groups: list[str], shift: float, width: float, look: Look, zeros: bool) -> None:
    there = rows.drop_nulls("value")
    places, values = [groups.index(group) + shift for group in there["group"]], there["value"].to_list()
    axis.bar(places, values, width=0.92 * width, color=look.colour, hatch=HATCHES[look.line], edgecolor="white", linewidth=0)
    for place, value in zip(places, values, strict=True):
        if zeros and value == 0:
            axis.annotate("0", (place, 0), xytext=(0, 1), textcoords="offset points", ha="center", color=GREY, fontsize=6.0)
    if {"low", "high"} <= set(rows.columns) and values:
        ends = [(there["value"] - there["low"]).clip(0).to_list(), (there["high"] - there["value"]).clip(0).to_list()]
        axis.errorbar(places, values, yerr=ends, fmt="none", ecolor=BLACK, elinewidth=0.7, capsize=1.5, capthick=0.7)
