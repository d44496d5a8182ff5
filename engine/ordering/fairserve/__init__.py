"""FairServe: weighted service, throttling of whole interactions, and its artifact's family of schedulers."""

from __future__ import annotations

from engine.ordering.fairserve.policy import FairServe

__all__ = ["FairServe"]
