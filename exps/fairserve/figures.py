"""All of FairServe's figures."""

from __future__ import annotations

from exps.fairserve.bars import BARS
from exps.fairserve.causes import CAUSES
from exps.fairserve.lines import LINES
from exps.fairserve.suites import SUITES
from exps.fairserve.tables import TABLES
from exps.fairserve.throttled import CDF_THROTTLED

FAIRSERVE_FIGURES = (*TABLES, *SUITES, *BARS, *LINES, CDF_THROTTLED, *CAUSES)
