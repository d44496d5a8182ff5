"""Curves of many clients: the first few by name, the others in grey, and beside them their total."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from plots.axes import Axis
from plots.bars import row_of_panels
from plots.style import BLACK, PAGE_IN, house_style, legend_columns, looks_of, save

HEIGHT_IN, OTHERS = 2.4, "#BBBBBB"


def many_curves(
    frame: pl.DataFrame,
    total: pl.DataFrame,
    *,
    x: Axis,
    y: Axis,
    series: str,
    named: Sequence[str],
    path: Path,
    footer: str = "",
) -> tuple[Path, Path]:
    """``frame`` has the columns of ``x``, ``y`` and ``series``, ``total`` those of ``x`` and ``y``; each panel has its scale.

    Writes and returns ``path``.pdf and ``path``.png.
    """
    looks = looks_of(named)
    names = [name for name in frame[series].unique(maintain_order=True) if name not in looks]
    with house_style():
        figure, axes = row_of_panels(PAGE_IN, HEIGHT_IN, 2, footer, sharey=False)
        for name in names:
            _draw(axes[0], frame.filter(pl.col(series) == name), x, y, OTHERS, 0.6)
        for name, look in looks.items():
            _draw(axes[0], frame.filter(pl.col(series) == name), x, y, look.colour, 1.3)
        _draw(axes[1], total, x, y, BLACK, 1.3)
        for axis, title in zip(axes, ("Each client", "All clients"), strict=True):
            axis.set_title(title)
            axis.set_xlabel(x.label)
            axis.set_xlim(*x.limits)
            axis.set_ylim(*y.limits)
        axes[0].set_ylabel(y.label)
        entries = [Line2D([], [], color=look.colour, label=look.label) for look in looks.values()]
        entries += [Line2D([], [], color=OTHERS, linewidth=0.8, label=f"{len(names)} others")] * bool(names)
        columns = legend_columns([str(entry.get_label()) for entry in entries], PAGE_IN, len(entries))
        figure.legend(handles=entries, loc="outside upper center", ncols=columns, frameon=False)
        return save(figure, path)


def _draw(axes: Axes, rows: pl.DataFrame, x: Axis, y: Axis, colour: str, width: float) -> None:
    there = rows.select(x.column, y.column).drop_nulls().sort(x.column)
    axes.plot(there[x.column], there[y.column], color=colour, linewidth=width)
    for ticks in (axes.xaxis, axes.yaxis):
        ticks.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
