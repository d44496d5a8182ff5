"""ExFairS: rounds in which the least and the best served exchange their priorities; both generations of its artifact."""

from __future__ import annotations

from engine.ordering.exfairs.policy import ContinuousExFairS, ExFairS

__all__ = ["ContinuousExFairS", "ExFairS"]
