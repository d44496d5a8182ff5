"""Credits that move from the adapter that is served to those that are put off for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import floor, inf

from engine.adapters.queue import adapter_of
from engine.request import Request

Transfer = tuple[str, str]
"""From whom to whom."""


class Credits:
    """Credits of adapters in whole transfers of two sizes, so that they add up to the same at any time, exactly.

    An adapter starts with gap x (N - 1) of N adapters, has the right to go first from gap x N, keeps it down to half a gap
    below, and may not be batched for its size below 0. ``large`` and ``small`` are what one transfer moves.
    """

    def __init__(self, gap: float, large: float, small: float):
        self.gap = gap
        self._sizes = {"large": large, "small": small}
        self._moved: dict[str, dict[str, int]] = {}
        self._flow: dict[str, Counter[str]] = {"large": Counter(), "small": Counter()}

    @property
    def initial(self) -> float:
        return self.gap * (len(self._moved) - 1)

    @property
    def right(self) -> float:
        return self.gap * len(self._moved)

    @property
    def left(self) -> float:
        return self.right - self.gap / 2

    def know(self, adapters: Iterable[str]) -> None:
        """These adapters exist."""
        for name in adapters:
            self._moved.setdefault(name, dict.fromkeys(self._sizes, 0))

    def of(self, adapter: str) -> float:
        """The credit of an adapter."""
        return self.initial + self._gained(adapter)

    def _gained(self, adapter: str) -> float:
        moved, sizes = self._moved[adapter], self._sizes
        return sizes["large"] * moved["large"] + sizes["small"] * moved["small"]

    def imbalance(self) -> dict[str, int]:
        """Transfers that were given and not received, by size: zero of each."""
        return {size: sum(moved[size] for moved in self._moved.values()) for size in self._sizes}

    def transfer(self, transfers: Iterable[Transfer], size: str) -> None:
        """Move credits as a step does; ``repeat`` moves the same again."""
        self._flow = {name: Counter() for name in self._sizes}
        for giver, receiver in transfers:
            self._flow[size][giver] -= 1
            self._flow[size][receiver] += 1
        self.know((*self._flow[size],))
        self.repeat(1)

    def rest(self) -> None:
        """A step that moves nothing."""
        self.transfer((), "large")

    def repeat(self, steps: int) -> None:
        """The last step's transfers, so many times more."""
        for size, changes in self._flow.items():
            for name, change in changes.items():
                self._moved[name][size] += steps * change

    def steps_within(self) -> float:
        """How often the last step's transfers can be repeated before a credit passes 0 or the right to go first, with a step
        to spare."""
        steps = inf
        for name in {*self._flow["large"], *self._flow["small"]}:
            change = sum(self._sizes[size] * changes[name] for size, changes in self._flow.items())
            if change:
                room = self._room_above(name) if change > 0 else self.of(name)
                steps = min(steps, max(floor(room / abs(change)) - 1, 0))
        return steps

    def _room_above(self, name: str) -> float:
        credit = self.of(name)
        return self.right - credit if credit >= 0 else -credit


def by_displacement(batch: Sequence[Request], first: Sequence[Request]) -> list[Transfer]:
    """Each request that goes though it is not of the ``first`` pays one of the first that therefore does not."""
    going, due = {request.id for request in batch}, {request.id for request in first}
    payers = [adapter_of(request) for request in batch if request.id not in due]
    displaced = [adapter_of(request) for request in first if request.id not in going]
    return list(zip(payers, displaced, strict=False))


def by_position(batch: Sequence[Request], first: Sequence[Request]) -> list[Transfer]:
    """The same, but who is paid is whoever stands at the payer's place in ``first`` (dLoRA's artifact): the first request of
    all, whose adapter may be put off for ever, is paid last."""
    due = {request.id for request in first}
    ordered = sorted(batch, key=lambda request: request.id not in due)
    pairs = zip(ordered, first, strict=False)
    return [(adapter_of(payer), adapter_of(paid)) for payer, paid in pairs if payer.id not in due]


def by_the_displaced(adapter: str, batch: Sequence[Request], first: Sequence[Request]) -> list[Transfer]:
    """The one adapter that goes pays for each of the ``first`` that does not."""
    going = {request.id for request in batch}
    return [(adapter, adapter_of(request)) for request in first if request.id not in going]
