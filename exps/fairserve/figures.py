"""All of FairServe's figures."""

from __future__ import annotations

from exps.fairserve.bars import BARS
from exps.fairserve.lines import LINES
from exps.fairserve.suites import SUITES
from exps.fairserve.tables import TABLES

FAIRSERVE_FIGURES = (*TABLES, *SUITES, *BARS, *LINES)
