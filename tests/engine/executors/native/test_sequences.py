"""Rows, blocks and tokens of the requests in an executor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.errors import InputError
from engine.executors.native.sequences import MORE_ROWS, Sequences
from engine.request import Request
from tests.engine.strategies import make_request

BLOCK, BLOCKS = 4, 40


class Machine(RuleBasedStateMachine):
    """Requests come, grow and leave; what the table says is compared with plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences = Sequences(context=40, blocks=BLOCKS, block_size=BLOCK, draft_tokens=20)
        self.known: dict[int, tuple[Request, list[int]]] = {}
        self.reserved: dict[int, int] = {}
        self.next = 0

    @rule(prompt=st.integers(1, 20))
    def join(self, prompt: int) -> None:
        request = make_request(self.next, prompt=prompt, output=20)
        self.next += 1
        self.sequences.join(request)
        self.known[request.id] = (request, list(request.prompt_ids or ()))
        self.reserved[request.id] = 0

    @rule(data=st.data())
    def reserve(self, data: st.DataObject) -> None:
        some = self.some(data)
        tokens = np.array([data.draw(st.integers(0, 60)) for _ in some], np.int64)
        after = self.reserved | {
            request.id: max(self.reserved[request.id], count) for request, count in zip(some, tokens.tolist(), strict=True)
        }
        if sum(-(-count // BLOCK) for count in after.values()) > BLOCKS - 1:
            with pytest.raises(InputError, match=r"the KV cache is full: \d+ blocks are needed and \d+ of 39 are free"):
                self.sequences.reserve(self.rows(some), tokens)
            return
        self.sequences.reserve(self.rows(some), tokens)
        self.reserved = after

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        some = [request for request in self.some(data) if len(self.known[request.id][1]) <= 36]
        counts = np.array([data.draw(st.integers(0, 4)) for _ in some], np.int64)
        tokens = np.arange(len(some) * 4).reshape(len(some), 4) + self.next
        self.sequences.append(self.rows(some), tokens, counts)
        for request, own, count in zip(some, tokens.tolist(), counts.tolist(), strict=True):
            self.known[request.id][1].extend(own[:count])

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        for request in self.some(data):
            _, tokens = self.known.pop(request.id)
            answer, blocks = self.sequences.leave(request)
            assert answer == tokens[request.prompt_tokens :]
            assert len(blocks) * BLOCK >= self.reserved.pop(request.id)
            assert request not in self.sequences

    def some(self, data: st.DataObject) -> list[Request]:
        return [request for request, _ in self.known.values() if data.draw(st.booleans())]

    def rows(self, requests: list[Request]) -> np.ndarray:  # type: ignore[type-arg]
        return self.sequences.rows(requests)

    @invariant()
    def no_block_is_lost_or_shared(self) -> None:
        self.sequences.check()

    @invariant()
    def tokens_and_slots_are_right(self) -> None:
        slots: list[int] = []
        for request, tokens in self.known.values():
            row = self.sequences.rows([request])
            assert self.sequences.length[row[0]] == len(tokens)
            assert self.sequences.tokens[row[0], : len(tokens)].tolist() == tokens
            places = np.arange(self.reserved[request.id])
            slots += self.sequences.slots(np.repeat(row, len(places)), places).tolist()
        assert len(set(slots)) == len(slots)
        assert all(BLOCK <= slot < BLOCKS * BLOCK for slot in slots)


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSequences = Machine.TestCase


@given(st.integers(1, 3 * MORE_ROWS))
def test_rows_grow_with_the_requests(count: int) -> None:
    sequences = Sequences(context=8, blocks=2, block_size=BLOCK)
    requests = [make_request(i, prompt=3) for i in range(count)]
    for request in requests:
        sequences.join(request)
    assert len(set(sequences.rows(requests).tolist())) == count
    assert [sequences.tokens[row, :3].tolist() for row in sequences.rows(requests)] == [r.prompt_ids for r in requests]


def test_a_request_comes_back_with_its_answer() -> None:
    sequences = Sequences(context=20, blocks=9, block_size=BLOCK)
    request = make_request(prompt=5)
    sequences.join(request)
    rows = sequences.rows([request])
    sequences.append(rows, np.array([[8, 9, 10]]), np.array([2]))
    sequences.drafted[rows] = 6
    request.output_ids, _ = sequences.leave(request)
    assert request.output_ids == [8, 9]
    sequences.join(request)
    rows = sequences.rows([request])
    assert sequences.length[rows] == 7 and sequences.drafted[rows] == 0
    assert sequences.tokens[rows[0], 5:7].tolist() == [8, 9]


def test_a_draft_larger_than_announced_is_an_error_that_says_so() -> None:
    sequences = Sequences(context=20, blocks=99, block_size=BLOCK, draft_tokens=8)
    sequences.join(request := make_request(0))
    with pytest.raises(InputError, match=r"needs 8 KV blocks and has 7, of which drafts may take 8 tokens; set most_dr"):
        sequences.reserve(sequences.rows([request]), np.array([29]))
    sequences.reserve(sequences.rows([request]), np.array([28]))
    sequences.check()


def test_check_notices_a_block_held_twice() -> None:
    sequences = Sequences(context=20, blocks=9, block_size=BLOCK)
    a, b = make_request(0), make_request(1)
    for request in (a, b):
        sequences.join(request)
    sequences.reserve(sequences.rows([a, b]), np.array([8, 8]))
    sequences.check()
    row, other = sequences.rows([a, b])
    sequences.table[row, 0] = sequences.table[other, 0]
    with pytest.raises(AssertionError, match="lost or held twice"):
        sequences.check()
