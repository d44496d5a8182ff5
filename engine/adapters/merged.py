"""One adapter at a time, folded into the base model's weights: dLoRA's merged-only."""

from __future__ import annotations

from engine.adapters.base import Adapters, Choice
from engine.adapters.queue import Queue, adapter_of


class Merged(Adapters):
    """All requests of the adapter whose request stands first in the queue (dLoRA's artifact, policy merge)."""

    def choose(self, queue: Queue, seats: int) -> Choice:
        first = queue.first(1)
        if not first:
            return Choice(())
        adapter = adapter_of(first[0])
        return Choice(queue.of(adapter, seats), merged=adapter)
