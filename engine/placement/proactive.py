"""Least cost, also where an adapter that nobody wants can make room (the artifact's migration type 2)."""

from __future__ import annotations

from collections.abc import Sequence

from engine.adapters.queue import adapter_of
from engine.placement.base import Seen
from engine.placement.by_cost import LOAD_S, ByCost, batches
from engine.request import Request


class Proactive(ByCost):
    """A replica with an adapter that has no requests there, and is on another replica too, may load the wanted one in its
    place."""

    def dispatch(self, request: Request, replicas: Sequence[Seen]) -> int:
        number, adapter = super().dispatch(request, replicas), adapter_of(request)
        if adapter not in self.hosting.of[number]:
            there = next(replica for replica in replicas if replica.number == number)
            idle = self._idle(there)
            assert idle is not None
            self.hosting.drop(idle, number)
            self.hosting.add(adapter, number)
        return number

    def _costs(self, adapter: str, replicas: Sequence[Seen]) -> dict[int, float]:
        others = [there for there in replicas if adapter not in self.hosting.of[there.number] and self._idle(there)]
        return {**super()._costs(adapter, replicas), **{there.number: batches(there.counts) + LOAD_S for there in others}}

    def _idle(self, replica: Seen) -> str | None:
        counts = replica.counts
        idle = (name for name in self.hosting.of[replica.number] if not counts.get(name))
        return next((name for name in idle if len(self.hosting.hosts(name)) > 1), None)
