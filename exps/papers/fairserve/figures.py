"""All of FairServe's figures."""

from __future__ import annotations

from exps.papers.fairserve.bars import BARS
from exps.papers.fairserve.causes import CAUSES
from exps.papers.fairserve.lines import LINES
from exps.papers.fairserve.suites import SUITES
from exps.papers.fairserve.tables import TABLES
from exps.papers.fairserve.throttled import CDF_THROTTLED

FAIRSERVE_FIGURES = (*TABLES, *SUITES, *BARS, *LINES, CDF_THROTTLED, *CAUSES)
