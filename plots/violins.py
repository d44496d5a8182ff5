"""Violins: how values of series are distributed, with a limit and the share that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes

from plots.bars import row_of_panels
from plots.style import BLACK, GREY, PAGE_IN, house_style, looks_of, save

HEIGHT_IN, HEADROOM, BESIDE = 2.6, 1.25, 1.3


def violins(
    rows: pl.DataFrame, *, panels: Mapping[str, str], path: Path, label: str, footer: str = ""
) -> tuple[Path, Path]:
    """A panel a ``category``, in the order of ``panels`` (value to title); a violin a ``system``, its median a line.

    ``rows`` has system, category, tpot_ms and slo_ms, the panel's limit, beside which stands the share of each system's values
    that keep it. The axis ends a little above the largest median or limit; what is beyond is cut off. Writes and returns
    ``path``.pdf and ``path``.png.
    """
    systems = rows["system"].unique(maintain_order=True).to_list()
    medians = rows.group_by("system", "category").agg(pl.col("tpot_ms").quantile(0.9))["tpot_ms"]
    top = HEADROOM * max(float(medians.max() or 0.0), float(rows["slo_ms"].max() or 0.0))  # type: ignore[arg-type]
    with house_style():
        figure, axes = row_of_panels(PAGE_IN, HEIGHT_IN, len(panels), footer)
        for axis, (category, title) in zip(axes, panels.items(), strict=True):
            _panel(axis, rows.filter(category=category), systems)
            axis.set_title(title)
            axis.set_ylim(0, top)
        axes[0].set_ylabel(label)
        return save(figure, path)


def _panel(axis: Axes, rows: pl.DataFrame, systems: list[str]) -> None:
    looks = looks_of(systems)
    limit = float(rows["slo_ms"].max() or 0.0)  # type: ignore[arg-type]
    axis.axhline(limit, color=GREY, linewidth=0.8, linestyle=":")
    axis.annotate(f"SLO {limit:.3g} ms", (0.01, limit), xycoords=axis.get_yaxis_transform(), xytext=(0, 2),
                  textcoords="offset points", color=GREY, fontsize=6.0)
    for place, name in enumerate(systems):
        values = rows.filter(system=name)["tpot_ms"].to_numpy()
        if len(values) < 2:
            continue
        drawn = axis.violinplot([values], [place], widths=0.8, showextrema=False, showmedians=True)
        for body in drawn["bodies"]:  # type: ignore[attr-defined]
            body.set_facecolor(looks[name].colour)
            body.set_alpha(0.75)
        drawn["cmedians"].set_color(BLACK)
        axis.annotate(f"{100 * (values <= limit).mean():.0f} %", (place, 0), xytext=(0, 2), textcoords="offset points",
                      ha="center", color=BLACK, fontsize=6.5)
    axis.set_xlim(-BESIDE, len(systems) - 0.4)
    axis.set_xticks(range(len(systems)), [looks[name].label for name in systems], rotation=20, ha="right")
    axis.tick_params(axis="x", length=0)
    axis.grid(visible=False, axis="x")
