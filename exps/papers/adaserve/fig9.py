"""AdaServe, Figure 9: goodput over the request rate, from the points of Figure 8."""

from __future__ import annotations

from dataclasses import replace

from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import GOODPUT, RPS, over

FIG9 = replace(
    FIG8,
    id="adaserve/fig9",
    title="Goodput over the request rate",
    draw=over("fig9", RPS, GOODPUT).draw,
    deviation=distance_to("fig9", "rps", GOODPUT.column),
    points_of=FIG8.id,
)
