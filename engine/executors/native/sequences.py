"""Which request has which tokens and which KV blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.request import Request

Ints = NDArray[np.int64]
PADDING_BLOCK = 0
MORE_ROWS = 64


class Sequences:
    """Tokens and block tables of the requests in an executor, a row each; the one owner of the KV cache's blocks.

    ``tokens`` [rows, context] prompt and answer; ``length`` of them, ``prompt`` of the prompt alone; ``drafted`` tokens in
    the draft's KV cache; ``table`` [rows, blocks of the longest sequence and its drafts] physical blocks; ``held`` of them.
    Of ``blocks`` blocks the first is the padding; the others are handed out as they are needed and come back when the
    request leaves. Both models keep a token in the same slot, each of its own cache.
    """

    def __init__(self, context: int, blocks: int, block_size: int, draft_tokens: int = 0):
        self.block_size = block_size
        self.blocks, self.draft_tokens = blocks, draft_tokens
        width = -(-(context + draft_tokens) // block_size)
        self.tokens: Ints = np.zeros((0, context), np.int64)
        self.table: Ints = np.zeros((0, width), np.int64)
        self.length: Ints = np.zeros(0, np.int64)
        self.prompt: Ints = np.zeros(0, np.int64)
        self.drafted: Ints = np.zeros(0, np.int64)
        self.held: Ints = np.zeros(0, np.int64)
        self._row: dict[int, int] = {}
        self._free_rows: list[int] = []
        self._free_blocks = list(range(blocks - 1, PADDING_BLOCK, -1))

    def __contains__(self, request: Request) -> bool:
        return request.id in self._row

    def rows(self, requests: Sequence[Request]) -> Ints:
        """The rows of ``requests``."""
        return np.fromiter((self._row[request.id] for request in requests), np.int64, len(requests))

    def join(self, request: Request) -> None:
        """Give a request a row with its prompt and the answer so far. ValueError when it has no prompt."""
        if request.prompt_ids is None or len(request.prompt_ids) != request.prompt_tokens:
            raise ValueError(f"request {request.id} has no prompt of {request.prompt_tokens} token ids")
        if not self._free_rows:
            self._more_rows()
        row = self._row[request.id] = self._free_rows.pop()
        known = [*request.prompt_ids, *request.output_ids]
        self.tokens[row, : len(known)] = known
        self.length[row], self.prompt[row] = len(known), request.prompt_tokens
        self.drafted[row] = 0

    def leave(self, request: Request) -> tuple[list[int], Ints]:
        """Forget a request: its answer so far, and the blocks it gives back."""
        row = self._row.pop(request.id)
        blocks = self.table[row, : self.held[row]].copy()
        self._free_blocks.extend(blocks.tolist())
        self.held[row] = 0
        self.table[row] = PADDING_BLOCK
        self._free_rows.append(row)
        return self.tokens[row, request.prompt_tokens : self.length[row]].tolist(), blocks

    def answered(self, rows: Ints) -> Ints:
        """How many tokens of each answer there are."""
        return self.length[rows] - self.prompt[rows]

    def append(self, rows: Ints, tokens: Ints, counts: Ints) -> None:
        """Add the first ``counts[i]`` of ``tokens[i]`` to sequence ``rows[i]``."""
        if tokens.shape[1] == 1 and counts.all():
            lengths = self.length[rows]
            self.tokens[rows, lengths] = tokens[:, 0]
            self.length[rows] = lengths + 1
            return
        which, column = np.nonzero(np.arange(tokens.shape[1]) < counts[:, None])
        self.tokens[rows[which], self.length[rows[which]] + column] = tokens[which, column]
        self.length[rows] += counts

    def reserve(self, rows: Ints, tokens: Ints) -> None:
        """Blocks for ``tokens[i]`` tokens of each sequence. InputError when there are not enough."""
        if (tokens <= self.held[rows] * self.block_size).all():
            return
        needed = -(-tokens // self.block_size)
        short = np.flatnonzero(needed > self.held[rows])
        self._check_room(int((needed[short] - self.held[rows[short]]).sum()), int(needed.max()))
        for row, want in zip(rows[short].tolist(), needed[short].tolist(), strict=True):
            have = int(self.held[row])
            self.table[row, have:want] = [self._free_blocks.pop() for _ in range(want - have)]
            self.held[row] = want

    def _check_room(self, missing: int, longest: int) -> None:
        if longest > self.table.shape[1]:
            raise InputError(
                f"a sequence needs {longest} KV blocks and has {self.table.shape[1]}, of which drafts may take"
                f" {self.draft_tokens} tokens; set most_draft_tokens of the speculation to the depth times the width of its"
                " largest draft."
            )
        if missing > len(self._free_blocks):
            raise InputError(
                f"the KV cache is full: {missing} blocks are needed and {len(self._free_blocks)} of {self.blocks - 1} are"
                " free; size it for all that the batching admits and the speculation drafts."
            )

    def tables(self, rows: Ints, tokens: int) -> Ints:
        """The block tables [rows, n] as far as ``tokens`` tokens."""
        return self.table[rows, : -(-tokens // self.block_size)]

    def slots(self, rows: Ints, positions: Ints) -> Ints:
        """Where the tokens at ``positions`` of sequences ``rows`` are kept: block * block_size + place."""
        block, place = np.divmod(positions, self.block_size)
        return self.table[rows, block] * self.block_size + place

    def check(self) -> None:
        """Raise AssertionError unless every block is the padding, free or in exactly one table."""
        held = [self.table[row, : self.held[row]] for row in self._row.values()]
        everything = [PADDING_BLOCK, *self._free_blocks, *(np.concatenate(held).tolist() if held else [])]
        assert sorted(everything) == list(range(self.blocks)), "a KV block is lost or held twice"

    def _more_rows(self) -> None:
        old = len(self.length)
        for name in ("tokens", "table", "length", "prompt", "drafted", "held"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros((MORE_ROWS, *column.shape[1:]), np.int64)]))
        self._free_rows.extend(range(old + MORE_ROWS - 1, old - 1, -1))
