"""dLoRA's scheduler of one replica: merge for the popular adapter, unmerge for the others, and starve nobody."""

from __future__ import annotations

from math import inf

from engine.adapters.base import Adapters, Choice
from engine.adapters.credits import Credits, by_displacement, by_position, by_the_displaced
from engine.adapters.queue import Queue
from engine.adapters.thresholds import StepTimes, Thresholds
from engine.request import Request

SEATS = 16


class Credit(Adapters):
    """Adapters that were put off for long go first; else the adapter that most requests want is merged where enough of the
    first ``seats`` requests want it, and all go in order where they do not (dLoRA, section 3 of the artifact's schedule).

    ``gap``: credit that an adapter gains from its start until it goes first; it bounds how long it can be put off
    (``longest_wait``). ``positional`` pays as the artifact does, which bounds nothing. ``merged_s``, ``unmerged_s`` and
    ``switch_s`` are what the scheduler takes steps and switches to cost; ``kernel_s`` goes before ``unmerged_s``.
    """

    def __init__(
        self, slots: int = 16, pinned: int = 1024, kernel_s: float | None = None, rank: int = 16, gap: float = 10_000.0,
        positional: bool = False, merged_s: float = StepTimes.merged_s, unmerged_s: float = StepTimes.unmerged_s,
        switch_s: float = StepTimes.switch_s, most_alpha: float = 2.0, least_beta: float = 0.05,
    ):
        super().__init__(slots, pinned, kernel_s, rank)
        if gap <= 0:
            raise ValueError(f"gap must be above 0, not {gap}")
        times = StepTimes(merged_s, unmerged_s if kernel_s is None else merged_s + kernel_s, switch_s)
        self.thresholds = Thresholds(times, most=most_alpha, least=least_beta)
        self.credits = Credits(gap, large=1 / SEATS, small=1 / (2 * times.ratio * SEATS))
        self._pays = by_position if positional else by_displacement
        self._starved: tuple[str, ...] = ()
        self._popular: str | None = None
        self._counted = (0, 0)
        self._settled = False

    def choose(self, queue: Queue, seats: int) -> Choice:
        self.credits.know(queue.adapters)
        first = queue.first(seats)
        self._settled, self._counted = True, (0, 0)
        if starved := self._starved_first(queue, seats):
            self._settled = False
            return self._unmerged(self._filled_up(starved, first, seats))
        popular = queue.most([name for name in queue.adapters if self.credits.of(name) >= 0])
        choice = self._by_size(queue, first, popular, seats)
        self._counted = (min(queue.count(popular) if popular is not None else 0, seats), len(first))
        self.thresholds.count(*self._counted)
        return choice

    def _by_size(self, queue: Queue, first: list[Request], popular: str | None, seats: int) -> Choice:
        merged, thresholds = self.merged, self.thresholds
        enough = merged is not None and queue.count(merged) >= max(thresholds.beta * len(first), 1)
        if enough and merged is not None and self.credits.of(merged) >= 0:
            thresholds.steps += 1
            return self._pay_for(merged, queue, first, seats)
        if popular is not None and queue.count(popular) >= thresholds.alpha * len(first):
            self._change(merged is not None)
            self._settled = False
            return self._pay_for(popular, queue, first, seats, at_most=seats)
        if popular != self._popular:
            thresholds.virtual_switches += 1
            self._popular = popular
        self.credits.rest()
        return self._unmerged(first)

    def _starved_first(self, queue: Queue, seats: int) -> list[Request]:
        """Requests of the adapters that have the right to go first, or had it in the last step and still keep it."""
        credits, was = self.credits, self._starved
        rightful = [name for name in queue.adapters
                    if credits.of(name) >= (credits.left if name in was else credits.right)]
        rightful.sort(key=credits.of, reverse=True)
        batch: list[Request] = []
        self._starved = ()
        for name in rightful:
            if len(batch) < seats:
                batch += queue.of(name, seats - len(batch))
                self._starved += (name,)
        return batch

    def _filled_up(self, starved: list[Request], first: list[Request], seats: int) -> list[Request]:
        ids = {request.id for request in starved}
        batch = [*starved, *(request for request in first if request.id not in ids)][:seats]
        self.credits.transfer(self._pays(batch, first), "large")
        return batch

    def _pay_for(
        self, adapter: str, queue: Queue, first: list[Request], seats: int, at_most: float = inf
    ) -> Choice:
        """A whole cost for each that goes out of turn where as many want to go, of ``at_most``; else half of it for each that
        is put off."""
        batch = queue.of(adapter, seats)
        if min(queue.count(adapter), at_most) == len(first):
            self.credits.transfer([pair for pair in self._pays(batch, first) for _ in range(2)], "small")
        else:
            self.credits.transfer(by_the_displaced(adapter, batch, first), "small")
        return Choice(batch, merged=adapter)

    def _unmerged(self, batch: list[Request]) -> Choice:
        if self.merged is None:
            self.thresholds.steps += 1
        else:
            self._change(was_merged=True)
        return Choice(batch)

    def _change(self, was_merged: bool) -> None:
        """Another period begins, with this step as its first."""
        self.thresholds.tune(was_merged)
        self.thresholds.steps = 1
        self._popular = None

    def horizon(self) -> float:
        if not self._settled:
            return 0
        return self.credits.steps_within()

    def keep(self, steps: int) -> None:
        self.credits.repeat(steps)
        self.thresholds.steps += steps
        self.thresholds.count(*self._counted, steps)

    def longest_wait(self) -> float:
        """Steps after which a request among the first cannot still be put off, whatever the others do.

        In every step that puts it off its adapter gains at least the smaller transfer. Credits add up to the same at any
        time and fall at most ``2 x SEATS`` transfers below 0, so that after so many steps its adapter would have more than
        there is; before, it has the most and goes first.
        """
        n, credits = len(self.credits._moved), self.credits
        least, most = min(credits._sizes.values()), max(credits._sizes.values())
        return (n * credits.initial + n * 2 * SEATS * most) / least if n > 1 else inf
