"""vLLM's V0 scheduler: prefills first, decode otherwise, pre-emption by recompute."""

from __future__ import annotations

from engine.batching.base import Batching, Running, require_positive, whole_prefill
from engine.kv_cache import BlockPool
from engine.plan import Chunk, DraftShape, StepPlan
from engine.request import Request


class VLLM(Batching):
    """A step prefills whole prompts while any can be admitted, and decodes the batch only when none can.

    ``max_sequences`` running requests, ``max_batched_tokens`` prompt tokens a step, ``watermark`` share of the pool that
    admission leaves free.
    """

    def __init__(
        self, max_sequences: int = 512, max_batched_tokens: int = 2048, watermark: float = 0.01, block_size: int = 16
    ):
        require_positive(max_sequences=max_sequences, max_batched_tokens=max_batched_tokens, block_size=block_size)
        self.max_sequences = max_sequences
        self.max_batched_tokens = max_batched_tokens
        self.watermark = watermark
        self.block_size = block_size

    def refuse(self, request: Request, pool: BlockPool) -> str | None:
        longest = request.prompt_tokens + request.output_tokens
        if pool.blocks(longest) > pool.capacity - self._reserve(pool):
            return f"{longest} tokens do not fit a pool of {pool.tokens}"
        return None

    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        prefill = self._admit(running, now)
        if prefill:
            return StepPlan(prefill=prefill)
        if not running.batch:
            return None
        running.make_room(1 if draft is None else draft.depth + 1)
        return StepPlan(decode=True, draft=draft)

    def _reserve(self, pool: BlockPool) -> int:
        return int(self.watermark * pool.capacity)

    def _admit(self, running: Running, now: float) -> list[Chunk]:
        pool, budget = running.pool, self.max_batched_tokens
        chunks: list[Chunk] = []
        while running.sequences() < self.max_sequences and (request := running.ordering.next(now)):
            tokens, blocks = request.prefill_tokens, pool.blocks(request.prefill_tokens)
            if (chunks and tokens > budget) or blocks > pool.free - self._reserve(pool):
                break
            running.admit(request, blocks, now)
            running.prefilling.append(request)
            chunks.append(whole_prefill(request))
            budget -= tokens
        return chunks
