"""AdaServe, Figure 8: SLO attainment over the request rate."""

from __future__ import annotations

from exps.figures.figure import Figure, Setting, Sweep
from exps.metrics.sweep import sweep_table
from exps.papers.adaserve.claims import CLAIMS
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import CALIBRATIONS, PLATFORMS, RATES, SYSTEMS
from exps.papers.adaserve.pictures import ATTAINMENT, RPS, over
from exps.papers.adaserve.workloads import local_rates, timetable_of
from exps.run.local import PAIRS

FIG8 = Figure(
    id="adaserve/fig8",
    title="SLO attainment over the request rate",
    platforms=(*PLATFORMS, *PAIRS),
    settings=(Setting(),),
    systems=SYSTEMS,
    sweep=Sweep("rps", RATES),
    calibrations=CALIBRATIONS,
    timetable=timetable_of("of_rate", rate=True),
    measure=sweep_table,
    draw=over("fig8", RPS, ATTAINMENT).draw,
    claims=CLAIMS,
    deviation=distance_to("fig8", "rps", ATTAINMENT.column),
    point_seconds=0.8,
    point_bytes=120_000,
    has_traces=True,
    local_values=local_rates,
    output_tokens=256,
)
