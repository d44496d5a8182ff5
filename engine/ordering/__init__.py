"""Who goes next. One small file a policy; every policy answers the hooks of ``base.Ordering``."""

from __future__ import annotations

from collections.abc import Callable

from engine.ordering.base import Ordering
from engine.ordering.drr import DRR
from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.fairserve import FairServe
from engine.ordering.fcfs import FCFS
from engine.ordering.justitia import Justitia
from engine.ordering.mlfq import MLFQ
from engine.ordering.priority import Priority
from engine.ordering.que import QuE
from engine.ordering.round_robin import RoundRobin
from engine.ordering.rpm import RPM
from engine.ordering.slo_greedy import SLOGreedy
from engine.ordering.vtc import VTC
from engine.ordering.vtc_artifact import VTCArtifact

ORDERINGS: dict[str, Callable[..., Ordering]] = {
    "fcfs": FCFS,
    "vtc": VTC,
    "rpm": RPM,
    "drr": DRR,
    "fairserve": FairServe,
    "exfairs": ExFairS,
    "exfairs-continuous": ContinuousExFairS,
    "round-robin": RoundRobin,
    "justitia": Justitia,
    "slo-greedy": SLOGreedy,
    "que": QuE,
    "priority": Priority,
    "vtc-artifact": VTCArtifact,
    "mlfq": MLFQ,
}

__all__ = ["ORDERINGS", "Ordering"]
