"""All figures of dLoRA."""

from __future__ import annotations

from exps.papers.dlora.fig5 import FIG5
from exps.papers.dlora.fig7 import FIG7
from exps.papers.dlora.fig9 import FIG9
from exps.papers.dlora.fig10 import FIG10A, FIG10B, KERNEL
from exps.papers.dlora.replicas import EIGHT_GPUS

DLORA_FIGURES = (FIG5, FIG7, *FIG9, FIG10A, FIG10B, KERNEL, *EIGHT_GPUS)
