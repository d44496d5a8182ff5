"""AdaServe, Figure 10: attainment and goodput over the share of urgent requests, at 4 requests a second."""

from __future__ import annotations

from dataclasses import replace

from exps.figures.figure import Sweep
from exps.figures.pictures import all_of
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import SHARES, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, GOODPUT, SHARE, over
from exps.papers.adaserve.share_claims import SHARE_CLAIMS
from exps.papers.adaserve.workloads import timetable_of

FIG10 = replace(
    FIG8,
    id="adaserve/fig10",
    title="SLO attainment and goodput over the share of urgent requests",
    sweep=Sweep("urgent", of_each_model(SHARES), quick=(0.2, 0.6, 0.9)),
    timetable=timetable_of("of_urgent"),
    draw=all_of(over("fig10", SHARE, ATTAINMENT), over("fig10", SHARE, GOODPUT, stem="fig10-goodput")),
    claims=SHARE_CLAIMS,
    deviation=distance_to("fig10", "urgent", ATTAINMENT.column, GOODPUT.column),
    local_values=lambda platform, options: (0.2, 0.6, 0.9),
)
