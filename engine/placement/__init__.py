"""Which replica serves a request."""

from __future__ import annotations

from collections.abc import Callable

from engine.placement.base import Placement
from engine.placement.least_cost import LeastCost
from engine.placement.migrating import Migrating
from engine.placement.proactive import Proactive
from engine.placement.static import Static

PLACEMENTS: dict[str, Callable[..., Placement] | None] = {
    "none": None,
    "static": Static,
    "least-cost": LeastCost,
    "proactive": Proactive,
    "migrating": Migrating,
}

__all__ = ["PLACEMENTS", "Placement"]
