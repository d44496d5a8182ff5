"""What placements share that send a request to the cheapest of the replicas with its adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor

from engine.adapters.queue import adapter_of
from engine.placement.base import Placement, Seen, fewest_requests
from engine.placement.hosting import Hosting
from engine.request import Request

SEATS, MERGED_COST = 16, 0.6
LOAD_S = 0.0029
"""Seconds to copy an adapter of rank 16 of a 7B model; beside costs in batches it decides between equals alone."""


def batches(counts: Mapping[str, int]) -> float:
    """Cost of what waits at a replica: full batches of one adapter run merged, at ``MERGED_COST``, and the rest together."""
    full = sum(count // SEATS for count in counts.values())
    rest = sum(count % SEATS for count in counts.values())
    return MERGED_COST * full + floor(rest / SEATS)


class ByCost(Placement):
    """The replica with the adapter whose ``batches`` cost least, the first of several; without one, that with fewest requests.

    Adapters get further replicas to begin with as long as the burst tolerance allows.
    """

    def begin(self, adapters: Sequence[str], room: int) -> list[list[str]]:
        self.hosting = Hosting(adapters, self.replicas, room)
        self.hosting.fill()
        self.hosting.spread(self._widespread(adapters))
        return [list(there) for there in self.hosting.of]

    def _widespread(self, adapters: Sequence[str]) -> Sequence[str]:
        """Those that are to be on more than one replica."""
        return adapters

    def dispatch(self, request: Request, replicas: Sequence[Seen]) -> int:
        adapter, hosting = adapter_of(request), self.hosting
        hosting.popularity[adapter] = hosting.popularity.get(adapter, 0.0) + 1
        costs = self._costs(adapter, replicas)
        if costs:
            return min(costs, key=lambda number: costs[number])
        number = fewest_requests(replicas).number
        hosting.add(adapter, number)
        return number

    def _costs(self, adapter: str, replicas: Sequence[Seen]) -> dict[int, float]:
        """By replica that may serve the adapter."""
        return {there.number: batches(there.counts) for there in replicas if adapter in self.hosting.of[there.number]}
