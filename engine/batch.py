"""The decoding requests as columns, so that a step is a few array operations."""

from __future__ import annotations

from collections import Counter
from math import inf

import numpy as np
from numpy.typing import NDArray

from engine.progress import Progress
from engine.request import Request

Ints = NDArray[np.int64]


class Batch:
    """Requests past their prefill. Row i of every column belongs to ``requests[i]``; rows keep admission order.

    Columns (int64, length n): ``context`` tokens in the target's KV cache, ``left`` output tokens still to come,
    ``blocks`` KV blocks held, ``drafted`` and ``accepted`` draft tokens, ``joined`` the tick at which the row came,
    ``output`` the length of the whole answer, as far as it is known.
    Columns (float64): ``since_s`` when the first token came, ``slo_tpot_s`` (inf: no SLO), ``joined_s`` the batch's
    ``decoded_s``, seconds of all its steps, at which the row came.
    ``tick`` counts decode steps, ``version`` changes whenever the rows change or advance unevenly, ``by_client`` and
    ``by_adapter`` count the rows of each client and of each adapter; rows without an adapter are in none.
    """

    COLUMNS = ("context", "left", "blocks", "drafted", "accepted", "joined", "output")

    def __init__(self) -> None:
        self._data: Ints = np.zeros((len(self.COLUMNS), 64), np.int64)
        self._times: NDArray[np.float64] = np.zeros((3, 64))
        self.requests: list[Request] = []
        self.by_client: dict[str, int] = {}
        self.by_adapter: dict[str, int] = {}
        self.context_tokens = 0
        self.tick = 0
        self.version = 0
        self.decoded_s = 0.0
        self._reshape()

    def __len__(self) -> int:
        return len(self.requests)

    def _reshape(self) -> None:
        n = len(self.requests)
        self.context, self.left, self.blocks, self.drafted, self.accepted, self.joined, self.output = self._data[:, :n]
        self.since_s, self.slo_tpot_s, self.joined_s = self._times[:, :n]
        self.context_tokens = int(self.context.sum())
        self._steps_to_finish = int(self.left.min()) if n else 0
        self.version += 1

    def add(self, request: Request) -> None:
        """Take over a request whose prefill is done: its state moves into the columns."""
        n = len(self.requests)
        if n == self._data.shape[1]:
            self._data = np.concatenate([self._data, np.zeros_like(self._data)], axis=1)
            self._times = np.concatenate([self._times, np.zeros_like(self._times)], axis=1)
        context = request.prompt_tokens + request.generated - 1
        left = request.output_tokens - request.generated
        drafts = request.drafted_tokens, request.accepted_tokens
        self._data[:, n] = (context, left, request.blocks, *drafts, self.tick, request.output_tokens)
        self._times[:, n] = (request.first_token_s, inf if request.slo_tpot_s is None else request.slo_tpot_s, self.decoded_s)
        self.requests.append(request)
        request.rows = self
        self._count(request, 1)
        self._reshape()

    def remove(self, rows: Ints) -> list[Request]:
        """Take rows out, in row order, with the columns written back into the requests."""
        gone = [self.requests[row] for row in rows]
        rows_of = zip(gone, self._data[:, rows].T.tolist(), self.joined_s[rows].tolist(), strict=True)
        for request, (_, left, blocks, drafted, accepted, joined, output), joined_s in rows_of:
            request.rows, request.produced = None, output - left
            request.blocks, request.drafted_tokens, request.accepted_tokens = blocks, drafted, accepted
            request.steps += self.tick - joined
            request.computed_s += self.decoded_s - joined_s
            self._count(request, -1)
        keep = np.ones(len(self.requests), bool)
        keep[rows] = False
        self.requests = [request for request, kept in zip(self.requests, keep.tolist(), strict=True) if kept]
        self._data[:, : len(self.requests)] = self._data[:, : keep.size][:, keep]
        self._times[:, : len(self.requests)] = self._times[:, : keep.size][:, keep]
        self._reshape()
        return gone

    def _count(self, request: Request, change: int) -> None:
        _add(self.by_client, request.client, change)
        if request.adapter is not None:
            _add(self.by_adapter, request.adapter, change)

    def advance(self) -> Ints | None:
        """One token for every row. Returns the finished rows, or None (the common case, which costs no search)."""
        self.context += 1
        self.left -= 1
        self.context_tokens += len(self.requests)
        self.tick += 1
        self._steps_to_finish -= 1
        return np.flatnonzero(self.left == 0) if self._steps_to_finish == 0 else None

    def advance_by(self, tokens: Ints, drafted: Ints, rows: Ints | None = None) -> Ints:
        """``tokens[i]`` tokens, the last of them the bonus, for the i-th of ``rows``, or of all. Returns the finished rows."""
        which = slice(None) if rows is None else rows
        self.context[which] += tokens
        self.left[which] -= tokens
        self.drafted[which] += drafted
        self.accepted[which] += np.maximum(tokens - 1, 0)
        self.tick += 1
        if rows is not None:
            self.joined += 1
            self.joined[rows] -= 1
        self._reshape()
        return np.flatnonzero(self.left == 0)

    def only(self, rows: Ints | None) -> Batch:
        """A copy of some rows, to be read; of all it is this batch."""
        if rows is None:
            return self
        part = Batch()
        part._data, part._times = self._data[:, rows], self._times[:, rows]
        part.requests = [self.requests[row] for row in rows.tolist()]
        part.by_client = dict(Counter(request.client for request in part.requests))
        part.by_adapter = dict(Counter(request.adapter for request in part.requests if request.adapter is not None))
        part.tick = self.tick
        part._reshape()
        return part

    def end(self, rows: Ints) -> None:
        """Let the answers of ``rows`` end with the tokens they have."""
        self.output[rows] -= self.left[rows]
        self.left[rows] = 0
        self._reshape()

    def generated_of(self, request: Request) -> int:
        """Output tokens of one request of the batch so far."""
        row = self.requests.index(request)
        return int(self.output[row] - self.left[row])

    def progress(self, now: float) -> Progress:
        """How far each row is, for a policy to read."""
        return Progress(
            requests=self.requests,
            context=self.context,
            generated=self.generated(),
            drafted=self.drafted,
            accepted=self.accepted,
            latency_s=now - self.since_s,
            slo_tpot_s=self.slo_tpot_s,
        )

    def write_back(self) -> None:
        """Bring what the columns hold into the requests, which stay."""
        rows = zip(self.requests, self._data[:, : len(self.requests)].T.tolist(), self.joined_s.tolist(), strict=True)
        for request, (_, left, blocks, drafted, accepted, joined, output), joined_s in rows:
            request.produced, request.blocks = output - left, blocks
            request.drafted_tokens, request.accepted_tokens = drafted, accepted
            request.steps += self.tick - joined
            request.computed_s += self.decoded_s - joined_s
        self.joined[:], self.joined_s[:] = self.tick, self.decoded_s

    def generated(self) -> Ints:
        """Output tokens of each row so far."""
        return self.output - self.left


def _add(counts: dict[str, int], name: str, change: int) -> None:
    """Counts that come to nothing are left out."""
    count = counts.get(name, 0) + change
    if count:
        counts[name] = count
    else:
        del counts[name]
