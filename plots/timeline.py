"""A timeline of speculation: for each step what it verified, and below for each request what it got and what it needed."""

from __future__ import annotations

import textwrap
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from plots.curves import FOOTER_CHARACTERS_PER_IN, FOOTER_ROW_IN
from plots.style import BLACK, BLUE, GREY, PAGE_IN, SKY, SMALL_PT, VERMILLION, house_style, legend_columns, save

ROW_IN, STEPS_IN, AROUND_IN = 0.14, 1.5, 0.9
THICKNESS, READABLE_STEPS = 0.72, 16
ROOTS, PROMPTS = "#AAAAAA", "#E4E4E4"
COLOURS = {"roots": ROOTS, "slo_tokens": VERMILLION, "more_tokens": BLUE, "prefill_tokens": PROMPTS}
LABELS = {
    "roots": "roots", "slo_tokens": "for the SLO", "more_tokens": "for throughput", "prefill_tokens": "prompts",
}


def timeline(steps: pl.DataFrame, cells: pl.DataFrame, *, path: Path, footer: str = "") -> tuple[Path, Path]:
    """``steps``: a row a step with start_s, end_s, depth, width, budget, roots, slo_tokens, more_tokens, prefill_tokens.
    ``cells``: a row for each request in a step with its ``row`` (label), start_s, end_s, need, slo_tokens, more_tokens,
    produced, rows in the order in which labels are to stand.

    Writes and returns ``path``.pdf and ``path``.png.
    """
    names = cells["row"].unique(maintain_order=True).to_list()
    notes = textwrap.wrap(footer, width=int(PAGE_IN * FOOTER_CHARACTERS_PER_IN))
    bottom = (len(notes) + 0.5) * FOOTER_ROW_IN
    below = max(ROW_IN * len(names), ROW_IN * 4)
    height = STEPS_IN + below + AROUND_IN + bottom
    with house_style():
        layout = ConstrainedLayoutEngine(rect=(0, bottom / height, 1, 1 - bottom / height))
        figure = Figure(figsize=(PAGE_IN, height), layout=layout)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[STEPS_IN, below])
        _steps(upper, steps)
        _cells(lower, cells, names, readable=steps.height <= READABLE_STEPS)
        lower.set_xlabel("Time (s)")
        lower.set_xlim(steps["start_s"].min(), steps["end_s"].max())
        entries = [Patch(color=COLOURS[name], label=LABELS[name]) for name in COLOURS]
        entries += [Line2D([], [], color=BLACK, linewidth=1.4, label="tokens that the SLO needs")]  # type: ignore[list-item]
        columns = legend_columns([str(entry.get_label()) for entry in entries], PAGE_IN, len(entries))
        figure.legend(handles=entries, loc="outside upper center", ncols=columns, frameon=False)
        figure.text(0.01, 0.02 / height, "\n".join(notes), fontsize=SMALL_PT, color=GREY, va="bottom")
        return save(figure, path)


def _steps(axis: Axes, steps: pl.DataFrame) -> None:
    """Stacked tokens of each step, its budget as a line, its draft as depth x width."""
    widths, level = (steps["end_s"] - steps["start_s"]).to_numpy(), 0 * steps["roots"].to_numpy()
    for name, colour in COLOURS.items():
        tokens = steps[name].to_numpy()
        axis.bar(steps["start_s"], tokens, width=widths, bottom=level, align="edge", color=colour, edgecolor="white",
                 linewidth=0.4)
        level = level + tokens
    for row in steps.iter_rows(named=True):
        if row["budget"]:
            axis.plot([row["start_s"], row["end_s"]], [row["budget"]] * 2, color=BLACK, linewidth=0.8, linestyle=":")
    if steps.height <= READABLE_STEPS:
        top = axis.get_ylim()[1]
        for row in steps.iter_rows(named=True):
            text = f"{row['depth']}x{row['width']}" if row["depth"] else "no draft"
            axis.text((row["start_s"] + row["end_s"]) / 2, top, text, ha="center", va="bottom", fontsize=SMALL_PT, color=GREY)
    axis.set_ylabel("Tokens of the step")
    axis.grid(visible=False, axis="x")


def _cells(axis: Axes, cells: pl.DataFrame, names: list[str], readable: bool) -> None:
    """A request a row: the bar of a step is as long as its tokens, of the most that any has, and a line where its need is."""
    place = {name: number for number, name in enumerate(names)}
    most = float((1 + cells["slo_tokens"] + cells["more_tokens"]).max() or 1)  # type: ignore[arg-type]
    bars: dict[str, list[Rectangle]] = {name: [] for name in ("roots", "slo_tokens", "more_tokens")}
    needs = []
    for row in cells.iter_rows(named=True):
        begin, y = row["start_s"], place[row["row"]]
        scale, low = 0.82 * (row["end_s"] - begin) / most, y - THICKNESS / 2
        at = begin
        for name, tokens in (("roots", 1), ("slo_tokens", row["slo_tokens"]), ("more_tokens", row["more_tokens"])):
            bars[name].append(Rectangle((at, low), tokens * scale, THICKNESS))
            at += tokens * scale
        if row["need"] is not None:
            x = begin + min(max(row["need"], 0.0), most) * scale
            needs.append([(x, low - 0.1), (x, low + THICKNESS + 0.1)])
        if readable:
            axis.text(row["end_s"], y, f"+{row['produced']} ", ha="right", va="center", fontsize=4.6, color=GREY)
    for name, rectangles in bars.items():
        axis.add_collection(PatchCollection(rectangles, facecolor=COLOURS[name], edgecolor="none"))
    axis.add_collection(LineCollection(needs, colors=BLACK, linewidths=0.9))
    axis.set_yticks(range(len(names)), names, fontsize=5.0)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(color=SKY, alpha=0.35, axis="x")
    axis.grid(visible=False, axis="y")
