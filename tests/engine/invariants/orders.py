"""Every policy of ``ORDERINGS`` and its variants, as they are written in a system."""

from __future__ import annotations

from engine.ordering import Ordering
from engine.system import parse_system

ORDERS = (
    "fcfs",
    "vtc",
    "vtc(lift=false)",
    "vtc(predict=mean)",
    "vtc(predict=oracle,spread=0.5)",
    "vtc(cost=profiled,lift_from_empty=false,duplicate_charge=true)",
    "drr(quantum=20)",
    "rpm(limit=15)",
    "fairserve(limit=15)",
    "fairserve(charge=ratio,limit=15,rpm_debt=repaid,interaction_debt=true,prefer=false)",
    "exfairs(round_s=0.1)",
    "exfairs-continuous(round_s=0.1,era_s=0.3,decay=0.9)",
    "que(round_s=0.1)",
    "round-robin",
    "justitia",
    "slo-greedy(count_late=true)",
    "priority(by=category,levels=mail:1)",
    "vtc-artifact(round_s=0.1)",
    "mlfq(starvation_s=0.05)",
)


def make_order(text: str) -> Ordering:
    return parse_system(f"order={text}").build({}).ordering
