"""How many KV tokens a batch will hold at its peak, and with one more request."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from math import inf

import numpy as np

from engine.batch import Batch
from engine.request import Request


def peak_tokens(has: Iterable[int], left: Iterable[int]) -> int:
    """The most KV tokens that requests will hold together if each runs to its end: S-LoRA's fit test.

    ``has`` tokens now, ``left`` tokens still to come. When the request with k-th most left ends, the first k hold
    left_k * k + sum of their ``has``. The plain form of ``PeakUse``.
    """
    peak = total = 0
    for k, (tokens, more) in enumerate(sorted(zip(has, left, strict=True), key=lambda pair: -pair[1]), start=1):
        total += tokens
        peak = max(peak, more * k + total)
    return peak


class PeakUse:
    """``peak_tokens`` of a batch plus one candidate, kept from step to step.

    With a request's last tick f = tick + left and its origin s = tick - has, the k-th term becomes
    k * f_k - (s_1 + .. + s_k), which does not change while the batch decodes, nor when the last in the order, whose last tick
    comes first, ends. A candidate at place p leaves the terms before p alone and adds f_k - s to those after it.
    """

    def __init__(self) -> None:
        self._tick = 0
        self._ends: list[int] = []
        """-f, ascending."""
        self._terms: list[int] = []
        self._later: list[int] = []
        """Each term with f added: what a candidate before it makes of it, but for the candidate's origin."""
        self._entered: list[tuple[int, int]] = []
        self._counted = 0

    def follow(self, batch: Batch) -> None:
        """Look at the batch as it is now, with whoever was admitted in it, past the token that a prefill brings."""
        self._tick, n = batch.tick, len(batch)
        for number, (last, origin) in enumerate(self._entered):
            if number < self._counted:
                self._shorten(last)
            else:
                self._insert(last - 1, origin)
        self._entered, self._counted = [], 0
        while self._ends and -self._ends[-1] < batch.tick:
            for column in (self._ends, self._terms, self._later):
                column.pop()
        if n != len(self._ends) or self._origins(n) != n * (batch.tick - 1) - batch.context_tokens:
            self._index(batch)

    def add(self, request: Request) -> None:
        """Count an admitted request in, until the batch is looked at again."""
        self._entered.append(self._place(request))

    def _insert(self, last: int, origin: int) -> None:
        place = bisect_right(self._ends, -last)
        own = self._own(place, last, origin)
        terms = [term - origin for term in self._later[place:]]
        self._later[place:] = [own + last, *[term - end for term, end in zip(terms, self._ends[place:], strict=True)]]
        self._terms[place:] = [own, *terms]
        self._ends.insert(place, -last)

    def _shorten(self, last: int) -> None:
        """Take a tick off the one of this last tick that was counted in last."""
        place = bisect_right(self._ends, -last) - 1
        self._ends[place] += 1
        self._terms[place] -= place + 1
        self._later[place] -= place + 2

    def with_request(self, request: Request) -> float:
        """Peak use in tokens if ``request`` were admitted now."""
        for entered in self._entered[self._counted :]:
            self._insert(*entered)
        self._counted = len(self._entered)
        last, origin = self._place(request)
        place = bisect_right(self._ends, -last)
        before, after = max(self._terms[:place], default=0), max(self._later[place:], default=-inf)
        return max(before, self._own(place, last, origin), after - origin)

    def steps_until(self, request: Request, limit: int, most: int) -> float:
        """The least number of steps, one or more, after which ``with_request`` is below ``limit``, if none of the batch ends
        in them; inf if that is more than ``most``.

        After j steps the candidate's last tick and its origin are j later. While no other's last tick lies between, its own
        term grows by its place with each step, and those after it shrink by 1.
        """
        last, origin = self._place(request)
        steps: float = 1
        while steps <= most:
            place = bisect_right(self._ends, -last - steps)
            up_to = -self._ends[place - 1] - last if place else inf
            first = max(steps, max(self._later[place:], default=-inf) - origin - limit + 1)
            peak = max(self._own(place, last, origin) + place * first, max(self._terms[:place], default=0))
            if first <= up_to and peak < limit:
                return first if first <= most else inf
            steps = up_to + 1
        return inf

    def _own(self, place: int, last: int, origin: int) -> int:
        return (place + 1) * last - self._origins(place) - origin

    def _origins(self, place: int) -> int:
        """Sum of the origins of those before a place."""
        return -place * self._ends[place - 1] - self._terms[place - 1] if place else 0

    def _place(self, request: Request) -> tuple[int, int]:
        produced = request.produced
        return self._tick + request.output_tokens - produced - 1, self._tick - request.prompt_tokens - produced - 1

    def _index(self, batch: Batch) -> None:
        last = batch.tick + batch.left - 1
        order = np.argsort(-last, kind="stable")
        last, origins = last[order], np.cumsum((batch.tick - batch.context - 1)[order])
        terms = np.arange(1, last.size + 1) * last - origins
        self._ends, self._terms, self._later = (-last).tolist(), terms.tolist(), (terms + last).tolist()
