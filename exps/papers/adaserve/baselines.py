"""AdaServe beside speculation that its figures show without numbers, or that came later."""

from __future__ import annotations

from dataclasses import replace

from exps.figures.pictures import all_of
from exps.papers.adaserve.evaluation import ADASERVE
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, GOODPUT, RPS, over

BASELINES = replace(
    FIG8,
    id="adaserve/baselines",
    title="SLO attainment and goodput beside SpecInfer, adaptive verification and goodput-driven chains",
    systems=(ADASERVE, "specinfer", "vllm-adaptive", "vllm-goodput", "vllm-spec-4"),
    draw=all_of(
        over("fig8", RPS, ATTAINMENT, stem="baselines"), over("fig9", RPS, GOODPUT, stem="baselines-goodput")
    ),
    claims=(),
    deviation=None,
    points_of=FIG8.id,
)
