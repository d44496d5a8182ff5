"""vLLM's V0 scheduler: prefills first, decode otherwise, pre-emption by recompute or by swapping."""

from __future__ import annotations

from engine.batching.base import PagedBatching, Running, require_positive, whole_prefill
from engine.plan import Chunk, DraftShape, StepPlan


class VLLM(PagedBatching):
    """A step prefills whole prompts while any can be admitted, and decodes the batch only when none can.

    ``max_sequences`` running requests, ``max_batched_tokens`` prompt tokens a step, ``watermark`` share of the pool that
    admission leaves free, ``swap_tokens`` of KV that host memory keeps of pre-empted requests.
    """

    def __init__(
        self, max_sequences: int = 512, max_batched_tokens: int = 2048, watermark: float = 0.01, block_size: int = 16,
        swap_tokens: int = 0,
    ):
        super().__init__(max_sequences, watermark, block_size, swap_tokens)
        require_positive(max_batched_tokens=max_batched_tokens)
        self.max_batched_tokens = max_batched_tokens

    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        prefill = self._admit(running, now)
        if prefill:
            return StepPlan(prefill=prefill)
        if not running.batch:
            return None
        running.make_room(1 if draft is None else draft.depth + 1, now)
        return StepPlan(decode=True, draft=draft)

    def _admit(self, running: Running, now: float) -> list[Chunk]:
        budget = self.max_batched_tokens
        chunks: list[Chunk] = []
        running.ordering.on_pass(now)
        while (request := self.next_to_admit(running, now)) is not None:
            chunk = whole_prefill(request)
            if chunks and chunk.tokens > budget:
                break
            running.admit(request, now)
            chunks.append(chunk)
            budget -= chunk.tokens
        return chunks
