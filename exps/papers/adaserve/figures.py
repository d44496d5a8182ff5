"""The figures of AdaServe."""

from __future__ import annotations

from exps.papers.adaserve.baselines import BASELINES
from exps.papers.adaserve.fig1 import FIG1
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.fig9 import FIG9
from exps.papers.adaserve.fig10 import FIG10
from exps.papers.adaserve.fig11 import FIG11
from exps.papers.adaserve.fig12 import FIG12
from exps.papers.adaserve.fig14 import FIG13, FIG14
from exps.papers.adaserve.fig15 import FIG15
from exps.papers.adaserve.fig16 import FIG16
from exps.papers.adaserve.parameters import PARAMETER_FIGURES
from exps.papers.adaserve.together import TOGETHER

ADASERVE_FIGURES = (
    FIG8, FIG9, FIG1, FIG10, FIG11, FIG12, FIG13, FIG14, FIG15, FIG16, *PARAMETER_FIGURES, BASELINES, TOGETHER,
)
