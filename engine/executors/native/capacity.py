"""How large the KV cache must be so that whatever the engine's pool hands out always fits."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from engine.roles import Policies

BLOCK_SIZE = 16


@dataclass(frozen=True, slots=True)
class Capacity:
    """What must fit into a KV cache of blocks of ``BLOCK_SIZE`` tokens, all at once.

    The engine's pool counts ``kv_tokens`` tokens, in blocks of ``pool_block``, for at most ``max_sequences`` requests.
    Beyond what the pool counts, the drafts of each sequence take up to ``draft_tokens`` places.
    """

    kv_tokens: int
    max_sequences: int
    draft_tokens: int = 0
    pool_block: int = 1

    @classmethod
    def of(cls, kv_tokens: int, policies: Policies, ahead: bool = False) -> Capacity:
        """For a pool of ``kv_tokens`` under these policies, ``ahead`` with a place for the token of a step begun early.

        A running request holds a block of the pool, so that a batching that does not bound their number is bounded by the
        pool.
        """
        batching, speculation = policies.batching, policies.speculation
        pool_blocks = kv_tokens // batching.block_size
        most = min(pool_blocks, getattr(batching, "max_sequences", pool_blocks))
        drafts = speculation.most_draft_tokens if speculation else int(ahead)
        return cls(kv_tokens, most, drafts, batching.block_size)

    @property
    def blocks(self) -> int:
        """Blocks of the cache, the padding block included.

        A sequence holds at most x + draft_tokens tokens, rounded up to BLOCK_SIZE, where x is what the pool counts for it.
        x is a multiple of g = gcd(pool_block, BLOCK_SIZE). With the drafts rounded up to g, so is their sum, and rounding a
        multiple of g up to BLOCK_SIZE adds at most BLOCK_SIZE - g. The x of all sequences are at most kv_tokens.
        """
        g = gcd(self.pool_block, BLOCK_SIZE)
        beyond_pool = -(-self.draft_tokens // g) * g + BLOCK_SIZE - g
        return 1 + (self.kv_tokens + self.max_sequences * beyond_pool) // BLOCK_SIZE
