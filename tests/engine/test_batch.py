"""The columns of the batch against a plain list of requests."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batch import Batch
from engine.request import Request
from tests.engine.strategies import make_request

OPERATION = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 30), st.integers(2, 30)),
    st.tuples(st.just("advance"), st.just(0), st.just(0)),
    st.tuples(st.just("accept"), st.integers(1, 4), st.integers(0, 2)),
    st.tuples(st.just("remove"), st.integers(0, 99), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATION, max_size=40))
def test_columns_follow_the_requests(operations: list[tuple[str, int, int]]) -> None:
    batch, made = Batch(), list[Request]()
    produced: dict[int, int] = {}
    for name, x, y in operations:
        n = len(batch)
        rows = np.zeros(0, np.int64)
        if name == "add":
            request = make_request(len(made), "ab"[x % 2], x, y, produced=1, first_token_s=0.0, blocks=x)
            made.append(request)
            produced[request.id] = 1
            batch.add(request)
        elif name == "remove" and n:
            rows = np.array([x % n])
        elif name == "advance" and n:
            finished = batch.advance()
            rows = rows if finished is None else finished
            produced.update({request.id: produced[request.id] + 1 for request in batch.requests})
        elif name == "accept" and n:
            tokens = np.minimum(np.full(n, x), batch.left)
            rows = batch.advance_by(tokens, tokens - 1 + y)
            produced.update({r.id: produced[r.id] + t for r, t in zip(batch.requests, tokens.tolist(), strict=True)})
        for gone in batch.remove(rows) if rows.size else []:
            assert gone.generated == produced[gone.id]
        _assert_consistent(batch, produced)


def _assert_consistent(batch: Batch, produced: dict[int, int]) -> None:
    generated = [produced[request.id] for request in batch.requests]
    assert batch.generated().tolist() == generated
    assert batch.context.tolist() == [r.prompt_tokens + g - 1 for r, g in zip(batch.requests, generated, strict=True)]
    assert batch.context_tokens == batch.context.sum()
    assert (batch.left > 0).all()
    clients = [request.client for request in batch.requests]
    assert batch.by_client == {client: clients.count(client) for client in set(clients)}


def test_drafts_and_steps_survive_a_stay_out_of_the_batch() -> None:
    batch = Batch()
    request = make_request(prompt=10, output=20, produced=1, first_token_s=0.0)
    batch.add(request)
    batch.advance_by(np.array([3]), np.array([4]))
    batch.remove(np.array([0]))
    assert (request.generated, request.steps, request.drafted_tokens, request.accepted_tokens) == (4, 1, 4, 2)
    request.produced += 1
    batch.add(request)
    batch.advance_by(np.array([2]), np.array([4]))
    batch.remove(np.array([0]))
    assert (request.generated, request.steps, request.drafted_tokens, request.accepted_tokens) == (7, 2, 8, 3)


def test_more_rows_than_the_columns_began_with() -> None:
    batch = Batch()
    for i in range(200):
        batch.add(make_request(i, prompt=i + 1, output=9, produced=1, first_token_s=float(i), slo_tpot_s=0.1))
    assert batch.context.tolist() == list(range(1, 201))
    assert batch.since_s.tolist() == list(range(200))
