"""Each adapter has one replica, for good."""

from __future__ import annotations

from collections.abc import Sequence

from engine.adapters.queue import adapter_of
from engine.placement.base import Placement, Seen
from engine.request import Request


class Static(Placement):
    """Adapters in the order of their names, as many on each replica (the artifact's execution type 1); what has no adapter
    goes by its number."""

    def begin(self, adapters: Sequence[str], room: int) -> list[list[str]]:
        each = max(-(-len(adapters) // self.replicas), 1)
        self._home = {name: index // each for index, name in enumerate(adapters)}
        return [[name for name, home in self._home.items() if home == number] for number in range(self.replicas)]

    def dispatch(self, request: Request, replicas: Sequence[Seen]) -> int:
        home = self._home.get(adapter_of(request), request.id) % self.replicas
        there = [replica.number for replica in replicas]
        return home if home in there else there[home % len(there)]
