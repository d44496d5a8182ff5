"""S-LoRA's batching, on which VTC's artifact stands: admit only what fits at its peak, in mini-batches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from math import inf

import numpy as np

from engine.arrivals import Socket
from engine.batch import Batch
from engine.batching.base import Batching, Running, require_positive, whole_prefill
from engine.horizon import Horizon
from engine.kv_cache import BlockPool
from engine.plan import DECODE, Chunk, DraftShape, StepPlan
from engine.request import Request


class SLoRA(Batching):
    """A request enters only if the pool can hold the batch at its future peak, so none is pre-empted.

    Draft tokens are not part of that peak: with speculation the newest request may have to give way.

    A running batch decodes ``decodes_between_admissions`` steps after each admission before it tries the next one.
    A mini-batch holds at most max(pool / 6, ``longest_request``) prompt tokens; each distinct client present takes
    ``adapter_tokens`` of the pool for its adapter; at most ``max_sequences`` requests run.
    ``reads_per_wait``: the server reads its socket only while it waits for the model, so many requests each time; it waits
    once for a decode step, twice for a prefill, once more to merge it into a running batch, and once to let requests go.
    """

    block_size = 1

    def __init__(
        self,
        decodes_between_admissions: int = 10,
        longest_request: int = 3072,
        adapter_tokens: int = 32,
        max_sequences: int = 1000,
        poll_s: float = 0.01,
        late_arrivals: bool = True,
        reads_per_wait: float = inf,
    ):
        require_positive(longest_request=longest_request, max_sequences=max_sequences, reads_per_wait=reads_per_wait)
        self.decodes_between_admissions = decodes_between_admissions
        self.longest_request = longest_request
        self.adapter_tokens = adapter_tokens
        self.max_sequences = max_sequences
        self.socket = Socket(poll_s, late_arrivals, reads_per_wait)
        self._decodes = 0
        self._peak = PeakUse()
        self._blocked: tuple[Request, int] | None = None

    def refuse(self, request: Request, pool: BlockPool) -> str | None:
        longest = request.prompt_tokens + request.output_tokens
        if longest + self.adapter_tokens >= pool.tokens:
            return f"{longest} tokens and an adapter of {self.adapter_tokens} do not fit a pool of {pool.tokens}"
        if request.prompt_tokens > (most := self._max_batch_tokens(pool)):
            return f"a prompt of {request.prompt_tokens} tokens is longer than a mini-batch of {most}"
        return None

    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        batch = running.batch
        if not batch.requests or self._decodes >= self.decodes_between_admissions:
            chunks = self._admit(running, now)
            if chunks:
                self._decodes = 0
                return StepPlan(prefill=chunks, waits=3 if batch.requests else 2)
            if not batch.requests:
                return None
        self._decodes += 1
        if draft is None:
            running.grow(1)
            return DECODE
        running.make_room(draft.depth + 1, now)
        return StepPlan(decode=True, draft=draft)

    def horizon(self, running: Running) -> Horizon:
        ahead = self.decodes_between_admissions - self._decodes
        if ahead >= 0 and len(running.ordering):
            return Horizon(1 + ahead)
        ordering = running.ordering.horizon(running.batch.by_client)
        return ordering if self._blocked is None else ordering.within(self._peak.steps_until(*self._blocked))

    def repeat(self, running: Running, steps: int, now: float) -> None:
        self._decodes += steps
        if self._decodes > self.decodes_between_admissions:
            running.ask_again(now)

    def _max_batch_tokens(self, pool: BlockPool) -> int:
        return max(pool.tokens // 6, self.longest_request)

    def _admit(self, running: Running, now: float) -> list[Chunk]:
        ordering, pool, batch = running.ordering, running.pool, running.batch
        budget = self._max_batch_tokens(pool)
        chunks: list[Chunk] = []
        clients = batch.by_client
        self._peak.follow(batch)
        self._blocked = None
        ordering.on_pass(now)
        while (request := ordering.next(now)) is not None:
            newcomer = request.client not in clients
            limit = pool.tokens - self.adapter_tokens * (len(clients) + newcomer)
            full = len(batch) + len(chunks) >= self.max_sequences
            if full or self._peak.with_request(request) >= limit or request.prompt_tokens > budget:
                self._blocked = None if full else (request, limit)
                ordering.on_blocked(request, now)
                break
            running.admit(request, now)
            chunks.append(whole_prefill(request))
            budget -= request.prompt_tokens
            if newcomer:
                clients = {**clients, request.client: 1}
            self._peak.add(request)
        return chunks


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
    """``peak_tokens`` of a batch plus one candidate, in O(log n) for each candidate.

    With a request's last tick f = tick + left and its origin s = tick - has, the k-th term becomes
    k * f_k - (s_1 + .. + s_k), which does not change while the batch decodes. A candidate at place p leaves the terms
    before p alone and adds f_k - s to those after it, so prefix and suffix maxima answer at once.
    """

    def __init__(self) -> None:
        self._version = -1

    def follow(self, batch: Batch) -> None:
        """Look at the batch as it is now."""
        self._tick = batch.tick
        if batch.version == self._version:
            return
        self._version = batch.version
        self._last = batch.tick + batch.left - 1
        self._origin = batch.tick - batch.context - 1
        self._index()

    def add(self, request: Request) -> None:
        """Count an admitted request in."""
        last, origin = self._place(request)
        self._last = np.append(self._last, last)
        self._origin = np.append(self._origin, origin)
        self._version = -1
        self._index()

    def with_request(self, request: Request) -> float:
        """Peak use in tokens if ``request`` were admitted now."""
        last, origin = self._place(request)
        place = bisect_right(self._descending, -last)
        own = (place + 1) * last - self._origin_sums[place] - origin
        return max(self._peak_before[place], own, self._peak_after[place] - origin)

    def steps_until(self, request: Request, limit: int) -> float:
        """The least number of steps, one or more, after which ``with_request`` is below ``limit``; inf if it never is.

        After j steps that end nobody the candidate's last tick and its origin are j later. While no other's last tick lies
        between, its own term grows by p with each step, and those after it shrink by 1.
        """
        (last, origin), steps = self._place(request), 1
        while True:
            place = bisect_right(self._descending, -last - steps)
            up_to = -self._descending[place - 1] - last if place else inf
            first = max(steps, self._peak_after[place] - origin - limit + 1)
            own = (place + 1) * (last + first) - self._origin_sums[place] - origin - first
            if first <= up_to and max(self._peak_before[place], own) < limit:
                return first
            if place == 0:
                return inf
            steps = int(up_to) + 1

    def _place(self, request: Request) -> tuple[int, int]:
        last = self._tick + request.output_tokens - request.generated - 1
        return last, self._tick - request.prefill_tokens - 1

    def _index(self) -> None:
        order = np.argsort(-self._last, kind="stable")
        last, origins = self._last[order], np.cumsum(self._origin[order])
        terms = np.arange(1, last.size + 1) * last - origins
        self._descending: list[int] = (-last).tolist()
        self._origin_sums: list[int] = [0, *origins.tolist()]
        self._peak_before: list[int] = [0, *np.maximum.accumulate(terms).tolist()]
        after = np.maximum.accumulate((terms + last)[::-1])[::-1]
        self._peak_after: list[float] = [*after.tolist(), float("-inf")]
