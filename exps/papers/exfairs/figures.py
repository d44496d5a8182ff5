"""All figures of ExFairS."""

from __future__ import annotations

from exps.papers.exfairs.ablation import ABLATION
from exps.papers.exfairs.scenarios import DEC, EARLY
from exps.papers.exfairs.seats import SEATS_FIGURE
from exps.papers.exfairs.sweeps import SWEEP_FIGURES

EXFAIRS_FIGURES = (EARLY, DEC, SEATS_FIGURE, *SWEEP_FIGURES, ABLATION)
