"""Iteration-level scheduling (Orca, and dLoRA on it): every step is decided afresh, and prefills ride with decodes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.batching.base import PagedBatching, Running, require_positive, whole_prefill
from engine.horizon import Horizon
from engine.kv_cache import BlockPool
from engine.plan import Chunk, DraftShape, StepPlan
from engine.request import WAITING, Request


class Orca(PagedBatching):
    """A step has at most ``max_sequences`` requests and ``max_batched_tokens`` tokens; prompts are prefilled whole.

    An adapters policy chooses them among all that wait or run; without one those that run go on, and the ordering fills the
    step. While nobody comes or goes a choice is kept as long as the policy would repeat it. ``watermark`` share of the pool
    that admission leaves free, ``swap_tokens`` of KV that host memory keeps of pre-empted requests.
    """

    asks_adapters = True

    def __init__(
        self, max_sequences: int = 16, max_batched_tokens: int = 4096, watermark: float = 0.01, block_size: int = 16,
        swap_tokens: int = 0,
    ):
        super().__init__(max_sequences, watermark, block_size, swap_tokens)
        require_positive(max_batched_tokens=max_batched_tokens)
        self.max_batched_tokens = max_batched_tokens
        self._kept = StepPlan(decode=True)
        self._keeps, self._seen = 0.0, (-1, -1)

    def refuse(self, request: Request, pool: BlockPool) -> str | None:
        longest = request.prompt_tokens + request.output_tokens
        if longest > self.max_batched_tokens:
            return f"{longest} tokens are more than a step of {self.max_batched_tokens} can compute again"
        return super().refuse(request, pool)

    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        if running.adapters is None:
            return self._in_order(running, draft, now)
        if self._keeps >= 1 and self._seen == self._state(running):
            self._keeps -= 1
            running.adapters.keep(1)
            running.make_room(1, now)
            return self._kept
        return self._chosen(running, now)

    def horizon(self, running: Running) -> Horizon:
        return Horizon(1 + self._keeps) if running.adapters is not None else super().horizon(running)

    def repeat(self, running: Running, steps: int, now: float) -> None:
        if running.adapters is None:
            super().repeat(running, steps, now)
        else:
            self._keeps -= steps
            running.adapters.keep(steps)

    def _in_order(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        if running.batch:
            running.make_room(1 if draft is None else draft.depth + 1, now)
        budget = self.max_batched_tokens - (draft.max_tokens if draft else len(running.batch))
        chunks: list[Chunk] = []
        running.ordering.on_pass(now)
        while (request := self.next_to_admit(running, now)) is not None:
            chunk = whole_prefill(request)
            if chunk.tokens > budget:
                break
            running.admit(request, now)
            chunks.append(chunk)
            budget -= chunk.tokens
        if not running.batch and not chunks:
            return None
        return StepPlan(prefill=chunks, decode=len(running.batch) > 0, draft=draft if running.batch else None)

    def _chosen(self, running: Running, now: float) -> StepPlan | None:
        assert running.adapters is not None and running.queue is not None
        if not len(running.queue):
            return None
        requests, weights = running.adapters.decide(running.queue, self.max_sequences)
        chunks = self._schedule(running, requests, now)
        while not chunks and not running.batch and running.parked:
            running.preempt(running.parked[-1])
            chunks = self._schedule(running, requests, now)
        if not running.batch and not chunks:
            return None
        settled = not (chunks or weights.folds or weights.loads)
        self._kept = StepPlan(prefill=chunks, decode=len(running.batch) > 0, weights=weights)
        self._keeps = running.adapters.horizon() if settled else 0
        self._seen = self._state(running)
        return self._kept

    def _schedule(self, running: Running, requests: Sequence[Request], now: float) -> list[Chunk]:
        """Let those of ``requests`` that are past their prefill decode, and admit the others while there is room; who finds
        none is passed over."""
        running.decode_only(self._decoding(running, requests))
        if running.batch:
            running.make_room(1, now)
        seats, budget = self.max_sequences - len(running.batch), self.max_batched_tokens - len(running.batch)
        chunks: list[Chunk] = []
        for request in requests:
            if not seats:
                break
            if request.status != WAITING:
                continue
            chunk, pool = whole_prefill(request), running.pool
            room = pool.blocks(request.prefill_tokens) <= pool.free - self._reserve(pool)
            if room and (chunk.tokens <= budget or not (running.batch or chunks)):
                running.admit(request, now)
                chunks.append(chunk)
                seats, budget = seats - 1, budget - chunk.tokens
        return chunks

    def _decoding(self, running: Running, requests: Sequence[Request]) -> list[Request]:
        there = {*running.batch.requests, *running.parked}
        return [request for request in requests if request in there][: self.max_sequences]

    @staticmethod
    def _state(running: Running) -> tuple[int, int]:
        assert running.queue is not None
        return running.queue.version, running.batch.version
