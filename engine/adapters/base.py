"""The contract of an adapters policy, and what all of them share: slots, loads, and what is merged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from engine.adapters.queue import Queue, adapter_of
from engine.adapters.residency import Residency
from engine.plan import Weights
from engine.request import Request

ONE_HOT, GROUPED, INJECTED, WHOLE = KERNELS = ("one-hot", "grouped", "injected", "whole")
"""How adapters are multiplied that are not merged: all active ones by all tokens (dLoRA's einsum), each by its own tokens
(S-LoRA), the one that is injected into the model (PEFT), or not at all, each being a whole model of its own."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to go in the next step, first ones first, and the adapter that is to be merged, None for none."""

    requests: Sequence[Request]
    merged: str | None = None


class Adapters(ABC):
    """Says which requests go in the next step and with which adapters' weights.

    ``slots`` adapters of ``rank`` fit the device and ``pinned`` the host's memory. ``kernel`` multiplies those that are not
    merged (one of ``KERNELS``), and adds ``kernel_s`` to a step; None: what the hardware's profile says. ``overlaps``: a layer
    waits for its own part of a copy alone, else the step waits for the whole. ``copies``: models of the base's size on the
    device.
    """

    kernel: str = ONE_HOT
    overlaps: bool = True
    copies: int = 1

    def __init__(self, slots: int = 16, pinned: int = 1024, kernel_s: float | None = None, rank: int = 16):
        self.residency = Residency(slots, pinned)
        self.rank = rank
        self.kernel_s = kernel_s
        self.merged: str | None = None
        self.folds = self.loads = 0

    def place(self, adapters: Sequence[str]) -> None:
        """These adapters are on the device before the first request, and fill its slots."""
        self.residency.place(adapters)

    @abstractmethod
    def choose(self, queue: Queue, seats: int) -> Choice:
        """Who of ``queue`` goes next; not more than ``seats`` of them will."""

    def horizon(self) -> float:
        """For how many steps more ``choose`` would answer the same if nobody came or went."""
        return inf

    def keep(self, steps: int) -> None:
        """The last answer of ``choose`` holds for so many steps more, at most ``horizon``."""

    def decide(self, queue: Queue, seats: int) -> tuple[list[Request], Weights]:
        """The requests of the choice whose adapters fit the slots together, in its order, and the weights of the step."""
        choice = self.choose(queue, seats)
        requests, wanted = self._within_slots(choice.requests)
        loads, reads = self.residency.bring(wanted, queue.counts())
        folds = 0
        if choice.merged != self.merged:
            folds = (self.merged is not None) + (choice.merged is not None)
            self.merged = choice.merged
        self.folds += folds
        self.loads += len(loads)
        return requests, Weights(choice.merged, tuple(self.residency.resident), folds, loads, reads)

    def _within_slots(self, chosen: Iterable[Request]) -> tuple[list[Request], dict[str, None]]:
        requests, wanted = [], dict[str, None]()
        for request in chosen:
            name = adapter_of(request)
            if name in wanted or len(wanted) < self.residency.slots:
                wanted[name] = None
                requests.append(request)
        return requests, wanted
