"""AdaServe, Figure 9: goodput over the request rate, from the points of Figure 8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from exps.adaserve.fig8 import FIG8, draw_rates


def draw(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    columns = ("goodput_tokens_per_s", "goodput_tokens_per_s")
    return draw_rates(metrics, caption, folder / f"fig9-{suffix}", "fig9", columns, "Goodput (tokens/s)", None)


FIG9 = replace(FIG8, id="adaserve/fig9", title="Goodput over the request rate", draw=draw, deviation=None, points_of=FIG8.id)
