"""Chunked prefill under a token budget (Sarathi-Serve): decodes first, then as much prefill as fits."""

from __future__ import annotations

from engine.batching.base import PagedBatching, Running, require_positive
from engine.horizon import ONE_STEP, Horizon
from engine.plan import Chunk, DraftShape, StepPlan
from engine.request import Request


class Sarathi(PagedBatching):
    """A step decodes (or verifies) the whole batch and fills the rest of ``token_budget`` with prefill chunks.

    ``max_sequences`` running requests; ``watermark`` share of the pool that admission leaves free; ``swap_tokens`` of KV that
    host memory keeps of pre-empted requests.
    """

    def __init__(
        self, token_budget: int = 2048, max_sequences: int = 2048, watermark: float = 0.01, block_size: int = 16,
        swap_tokens: int = 0,
    ):
        super().__init__(max_sequences, watermark, block_size, swap_tokens)
        require_positive(token_budget=token_budget)
        self.token_budget = token_budget

    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        if running.batch:
            running.make_room(1 if draft is None else draft.depth + 1, now)
        decoding = len(running.batch)
        verified = draft.max_tokens if draft and decoding else decoding
        chunks = self._fill(running, self.token_budget - verified, now)
        if not running.batch and not chunks:
            return None
        return StepPlan(prefill=chunks, decode=len(running.batch) > 0, draft=draft if running.batch else None)

    def horizon(self, running: Running) -> Horizon:
        """Without a budget left nobody is asked for, and the ordering is not either."""
        return super().horizon(running) if len(running.batch) < self.token_budget else ONE_STEP

    def _fill(self, running: Running, budget: int, now: float) -> list[Chunk]:
        chunks: list[Chunk] = []
        for started in running.prefilling:
            budget = self._chunk(started, budget, chunks)
        running.ordering.on_pass(now)
        while budget > 0 and (request := self.next_to_admit(running, now)) is not None:
            running.admit(request, now)
            budget = self._chunk(request, budget, chunks)
        return chunks

    @staticmethod
    def _chunk(request: Request, budget: int, chunks: list[Chunk]) -> int:
        tokens = min(budget, request.prefill_tokens - request.prefilled)
        if tokens <= 0:
            return budget
        chunks.append(Chunk(request, request.prefilled, tokens))
        return budget - tokens
