"""S-LoRA's batching, on which VTC's artifact stands: admit only what fits at its peak, in mini-batches."""

from __future__ import annotations

from math import inf

from engine.arrivals import Socket
from engine.batching.base import Batching, Running, require_positive, whole_prefill
from engine.batching.peak import PeakUse
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
        if self._blocked is None:
            return ordering
        most = int(min(ordering.steps, running.batch.steps_to_end))
        return ordering.within(self._peak.steps_until(*self._blocked, most))

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
