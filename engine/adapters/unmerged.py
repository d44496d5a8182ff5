"""All adapters beside the base model: dLoRA's unmerged-only, and S-LoRA's grouped kernel."""

from __future__ import annotations

from engine.adapters.base import GROUPED, Adapters, Choice
from engine.adapters.queue import Queue, adapter_of


class Unmerged(Adapters):
    """In order of the queue, until more adapters would be needed than there are slots (dLoRA's artifact, policy fcfs)."""

    def choose(self, queue: Queue, seats: int) -> Choice:
        requests, names = [], set[str]()
        for request in queue.first(seats):
            names.add(adapter_of(request))
            if len(names) > self.residency.slots:
                break
            requests.append(request)
        return Choice(requests)


class MultiLoRA(Adapters):
    """In order of the queue, past those whose adapters find no slot, with a kernel that gives each token its own adapter
    alone (S-LoRA, and vLLM since it serves adapters itself)."""

    kernel = GROUPED

    def choose(self, queue: Queue, seats: int) -> Choice:
        return Choice(queue.first(seats))
