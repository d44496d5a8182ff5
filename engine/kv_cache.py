"""The KV cache as bookkeeping: how many blocks are free and who holds the others. No tensors."""

from __future__ import annotations

from collections.abc import Iterable


class BlockPool:
    """A pool of KV blocks of ``block_size`` tokens each.

    The pool counts; each holder remembers its own share (``Request.blocks`` while it is prefilled, the ``blocks``
    column of the batch while it decodes), and ``check`` compares the two. Which physical block is whose is the
    business of an executor that stores real KV.
    """

    def __init__(self, tokens: int, block_size: int = 1):
        if block_size < 1 or tokens < block_size:
            raise ValueError(f"a pool of {tokens} tokens holds no block of {block_size}")
        self.block_size = block_size
        self.capacity = tokens // block_size
        self.free = self.capacity

    @property
    def tokens(self) -> int:
        """Tokens that fit in the whole pool."""
        return self.capacity * self.block_size

    def blocks(self, tokens: int) -> int:
        """Blocks that ``tokens`` tokens of one request occupy."""
        return -(-tokens // self.block_size)

    def take(self, blocks: int) -> None:
        """Hand out blocks. Raises RuntimeError when fewer are free: callers ask ``free`` first."""
        if not 0 <= blocks <= self.free:
            raise RuntimeError(f"{blocks} KV blocks asked, {self.free} of {self.capacity} free")
        self.free -= blocks

    def give(self, blocks: int) -> None:
        """Take blocks back. Raises RuntimeError when more come back than were handed out."""
        if not 0 <= blocks <= self.capacity - self.free:
            raise RuntimeError(f"{blocks} KV blocks returned, {self.capacity - self.free} of {self.capacity} in use")
        self.free += blocks

    def check(self, held: Iterable[int]) -> None:
        """Raise AssertionError unless the free blocks and the holders' shares make up the whole pool."""
        in_use = sum(held)
        assert self.free >= 0, f"{-self.free} KV blocks more than there are"
        assert self.free + in_use == self.capacity, f"{self.free} free + {in_use} held != {self.capacity} KV blocks"
