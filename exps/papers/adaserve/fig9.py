"""AdaServe, Figure 9: goodput over the request rate, from the points of Figure 8."""

from __future__ import annotations

from dataclasses import replace

from exps.papers.adaserve.fig8 import FIG8, over_rates
from plots.axes import Axis

FIG9 = replace(
    FIG8,
    id="adaserve/fig9",
    title="Goodput over the request rate",
    draw=over_rates("fig9", Axis("goodput_tokens_per_s", "Goodput (tokens/s)", (0, None)), "goodput_tokens_per_s"),
    deviation=None,
    points_of=FIG8.id,
)
