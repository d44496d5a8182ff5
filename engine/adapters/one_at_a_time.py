"""Batches of one adapter, or of one model: what dLoRA is compared with, strictly in order or by adapter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from engine.adapters.base import INJECTED, WHOLE, Adapters, Choice
from engine.adapters.queue import Queue, adapter_of


class OneAtATime(Adapters):
    """The head of the queue and those right behind it that want the same; ``grouped``: all that want the same."""

    overlaps = False

    def __init__(
        self, slots: int = 16, pinned: int = 1024, kernel_s: float | None = None, rank: int = 16, grouped: bool = False
    ):
        super().__init__(slots, pinned, kernel_s, rank)
        self.grouped = grouped

    def choose(self, queue: Queue, seats: int) -> Choice:
        first = queue.first(seats)
        if not first:
            return Choice(())
        adapter = adapter_of(first[0])
        if self.grouped:
            return Choice(queue.of(adapter, seats))
        return Choice(list(takewhile(lambda request: adapter_of(request) == adapter, first)))


class PEFT(OneAtATime):
    """One base model with an adapter injected (the artifact's execution type 2)."""

    kernel = INJECTED


class OneModelEach(OneAtATime):
    """Each adapter is a whole model; ``slots`` of them are on the device, and the others are copied in whole (the artifact's
    execution type 1, which it calls vLLM)."""

    kernel = WHOLE

    def __init__(self, slots: int = 4, pinned: int = 1024, grouped: bool = False):
        super().__init__(slots, pinned, grouped=grouped)
        self.copies = slots

    def place(self, adapters: Sequence[str]) -> None:
        self.residency.place(adapters[: self.copies], slots=self.copies)
