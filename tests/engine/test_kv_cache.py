"""The pool neither leaks nor hands a block out twice."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.kv_cache import BlockPool


class Pool(RuleBasedStateMachine):
    """Holders take and give; their shares and the free blocks always make up the pool."""

    @initialize(tokens=st.integers(16, 400), block_size=st.sampled_from((1, 4, 16)))
    def create(self, tokens: int, block_size: int) -> None:
        self.pool = BlockPool(tokens, block_size)
        self.shares: list[int] = []

    @rule(tokens=st.integers(0, 450))
    def take(self, tokens: int) -> None:
        blocks = self.pool.blocks(tokens)
        if blocks <= self.pool.free:
            self.pool.take(blocks)
            self.shares.append(blocks)
        else:
            with pytest.raises(RuntimeError, match=f"{blocks} KV blocks asked, {self.pool.free} of"):
                self.pool.take(blocks)

    @precondition(lambda self: self.shares)
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        share = self.shares.pop(data.draw(st.integers(0, len(self.shares) - 1)))
        part = data.draw(st.integers(0, share))
        self.pool.give(part)
        self.shares.append(share - part)

    @rule(more=st.integers(1, 10))
    def give_too_much(self, more: int) -> None:
        in_use = sum(self.shares)
        with pytest.raises(RuntimeError, match=f"{in_use + more} KV blocks returned, {in_use} of"):
            self.pool.give(in_use + more)

    @invariant()
    def whole(self) -> None:
        if hasattr(self, "pool"):
            self.pool.check(self.shares)


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_check_finds_a_leak_and_a_block_with_two_owners() -> None:
    pool = BlockPool(64, 16)
    pool.take(2)
    for held in ([1], [2, 1]):
        with pytest.raises(AssertionError, match="!= 4 KV blocks"):
            pool.check(held)


def test_a_started_block_is_a_whole_block() -> None:
    pool = BlockPool(100, 16)
    assert (pool.capacity, pool.tokens) == (6, 96)
    assert [pool.blocks(tokens) for tokens in (0, 1, 16, 17)] == [0, 1, 1, 2]


@pytest.mark.parametrize(("tokens", "block_size"), [(0, 1), (15, 16), (10, 0)])
def test_a_pool_without_a_block_is_an_error(tokens: int, block_size: int) -> None:
    with pytest.raises(ValueError, match="holds no block"):
        BlockPool(tokens, block_size)
