"""Who goes next. One small file a policy; every policy answers the hooks of ``base.Ordering``."""

from __future__ import annotations

from collections.abc import Callable

from engine.ordering.base import Ordering
from engine.ordering.drr import DRR
from engine.ordering.fcfs import FCFS
from engine.ordering.rpm import RPM
from engine.ordering.vtc import VTC

ORDERINGS: dict[str, Callable[..., Ordering]] = {"fcfs": FCFS, "vtc": VTC, "rpm": RPM, "drr": DRR}

__all__ = ["ORDERINGS", "Ordering"]
