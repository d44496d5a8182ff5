"""All figures of ExFairS."""

from __future__ import annotations

from exps.exfairs.ablation import ABLATION
from exps.exfairs.scenarios import DEC, EARLY
from exps.exfairs.seats import SEATS_FIGURE
from exps.exfairs.sweeps import SWEEP_FIGURES

EXFAIRS_FIGURES = (EARLY, DEC, SEATS_FIGURE, *SWEEP_FIGURES, ABLATION)
