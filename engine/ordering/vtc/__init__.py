"""The Virtual Token Counter: the policy, what it charges, and how it predicts lengths."""

from __future__ import annotations

from engine.ordering.vtc.policy import VTC

__all__ = ["VTC"]
