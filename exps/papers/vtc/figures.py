"""VTC's figures and tables in the paper's order."""

from __future__ import annotations

import re

from exps.figures.figure import Figure
from exps.papers.vtc.fig3 import FIG3
from exps.papers.vtc.fig14 import FIG14
from exps.papers.vtc.fig15 import FIG15A, FIG15B
from exps.papers.vtc.fig19 import FIG19
from exps.papers.vtc.real_response import RESPONSE_FIGURES
from exps.papers.vtc.real_workload import WORKLOAD_FIGURES
from exps.papers.vtc.suites import SUITE_FIGURES
from exps.papers.vtc.tables import TABLE_FIGURES


def _number(figure: Figure) -> int:
    return int(re.sub(r"\D", "", figure.id))


_PLOTTED = (FIG3, *SUITE_FIGURES, *WORKLOAD_FIGURES, *RESPONSE_FIGURES, FIG14, FIG15A, FIG15B, FIG19)
VTC_FIGURES = (*sorted(_PLOTTED, key=_number), *TABLE_FIGURES)
