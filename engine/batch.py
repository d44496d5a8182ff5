"""The decoding requests as columns, so that a step is a few array operations."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.progress import Progress
from engine.request import Request

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def _column(place: int) -> Any:
    def column(batch: Batch) -> Ints:
        return batch._settled()._data[place, : len(batch.requests)]

    return property(column)


def _time(place: int) -> Any:
    def column(batch: Batch) -> Floats:
        return batch._times[place, : len(batch.requests)]

    return property(column)


class Batch:
    """Requests past their prefill. Row i of every column belongs to ``requests[i]``; rows keep admission order.

    Columns (int64, length n): ``context`` tokens in the target's KV cache, ``left`` output tokens still to come,
    ``blocks`` KV blocks held, ``drafted`` and ``accepted`` draft tokens, ``joined`` the tick at which the row came,
    ``output`` the length of the whole answer, as far as it is known.
    Columns (float64): ``since_s`` when the first token came, ``slo_tpot_s`` (inf: no SLO), ``joined_s`` the ``busy_s`` at
    which the row came.
    Steps of a token for every row, and blocks for every row, are written into the columns when these are read.
    ``tick`` counts decode steps and ``busy_s`` the seconds of steps so far, ``version`` changes whenever the rows change or
    advance unevenly, ``by_client`` and ``by_adapter`` count the rows of each client and adapter (rows without one are in
    none), ``steps_to_end`` the steps of a token each until an answer is whole.
    """

    COLUMNS = ("context", "left", "blocks", "drafted", "accepted", "joined", "output")

    def __init__(self) -> None:
        self._data: Ints = np.zeros((len(self.COLUMNS), 64), np.int64)
        self._times: Floats = np.zeros((3, 64))
        self.requests: list[Request] = []
        self.by_client: dict[str, int] = {}
        self.by_adapter: dict[str, int] = {}
        self.context_tokens = 0
        self.steps_to_end = 0
        self.tick = 0
        self.busy_s = 0.0
        self.version = 0
        self._due_tokens = self._due_blocks = 0

    def __len__(self) -> int:
        return len(self.requests)

    context, left, blocks, drafted, accepted, joined, output = map(_column, range(len(COLUMNS)))
    since_s, slo_tpot_s, joined_s = map(_time, range(3))

    def _settled(self) -> Batch:
        """This batch, with what is due in its columns."""
        if self._due_tokens:
            n, tokens, self._due_tokens = len(self.requests), self._due_tokens, 0
            self._data[0, :n] += tokens
            self._data[1, :n] -= tokens
        if self._due_blocks:
            self._data[2, : len(self.requests)] += self._due_blocks
            self._due_blocks = 0
        return self

    def _count(self) -> None:
        """Look at all rows again."""
        self.context_tokens = int(self.context.sum())
        self.steps_to_end = int(self.left.min()) if self.requests else 0
        self.version += 1

    def add(self, request: Request) -> None:
        """Take over a request whose prefill is done: its state moves into the columns."""
        n = len(self._settled().requests)
        if n == self._data.shape[1]:
            self._data = np.concatenate([self._data, np.zeros_like(self._data)], axis=1)
            self._times = np.concatenate([self._times, np.zeros_like(self._times)], axis=1)
        context = request.prompt_tokens + request.produced - 1
        left = request.output_tokens - request.produced
        drafts = request.drafted_tokens, request.accepted_tokens
        self._data[:, n] = (context, left, request.blocks, *drafts, self.tick, request.output_tokens)
        self._times[:, n] = (request.first_token_s, inf if request.slo_tpot_s is None else request.slo_tpot_s, self.busy_s)
        self.requests.append(request)
        request.rows = self
        self._tally(request, 1)
        self.context_tokens += context
        self.steps_to_end = min(self.steps_to_end, left) if n else left
        self.version += 1

    def remove(self, rows: Ints) -> list[Request]:
        """Take rows out, in row order, with the columns written back into the requests."""
        self._settled()
        gone = []
        for before, row in enumerate(rows.tolist()):
            place, n = row - before, len(self.requests)
            gone.append(request := self.requests.pop(place))
            context, left, blocks, drafted, accepted, joined, output = self._data[:, place].tolist()
            request.rows, request.produced = None, output - left
            request.blocks, request.drafted_tokens, request.accepted_tokens = blocks, drafted, accepted
            request.steps += self.tick - joined
            self.context_tokens -= context
            request.computed_s += self.busy_s - self._times[2, place].item()
            self._tally(request, -1)
            self._data[:, place : n - 1] = self._data[:, place + 1 : n]
            self._times[:, place : n - 1] = self._times[:, place + 1 : n]
        self.steps_to_end = int(np.minimum.reduce(self.left)) if self.requests else 0
        self.version += 1
        return gone

    def _tally(self, request: Request, change: int) -> None:
        _add(self.by_client, request.client, change)
        if request.adapter is not None:
            _add(self.by_adapter, request.adapter, change)

    def advance(self, steps: int = 1) -> Ints | None:
        """A token for every row in each of ``steps``, at most ``steps_to_end``. Returns the finished rows, or None (the
        common case, which costs no search)."""
        self._due_tokens += steps
        self.context_tokens += len(self.requests) * steps
        self.tick += steps
        self.steps_to_end -= steps
        return (self.left == 0).nonzero()[0] if self.steps_to_end == 0 else None

    def hold(self, blocks: int) -> None:
        """So many KV blocks more for every row."""
        self._due_blocks += blocks

    def advance_by(self, tokens: Ints, drafted: Ints, rows: Ints | None = None) -> Ints:
        """``tokens[i]`` tokens, the last of them the bonus, for the i-th of ``rows``, or of all. Returns the finished rows."""
        which = slice(None) if rows is None else rows
        self.context[which] += tokens
        self.left[which] -= tokens
        self.drafted[which] += drafted
        self.accepted[which] += np.maximum(tokens - 1, 0)
        self.tick += 1
        if rows is not None:
            self.joined[:] += 1
            self.joined[rows] -= 1
        self._count()
        return np.flatnonzero(self.left == 0)

    def only(self, rows: Ints | None) -> Batch:
        """A copy of some rows, to be read; of all it is this batch."""
        if rows is None:
            return self
        part = Batch()
        self._settled()
        part._data, part._times = self._data[:, rows], self._times[:, rows]
        part.requests = [self.requests[row] for row in rows.tolist()]
        part.by_client = dict(Counter(request.client for request in part.requests))
        part.by_adapter = dict(Counter(request.adapter for request in part.requests if request.adapter is not None))
        part.tick = self.tick
        part._count()
        return part

    def end(self, rows: Ints) -> None:
        """Let the answers of ``rows`` end with the tokens they have."""
        self.output[rows] -= self.left[rows]
        self.left[rows] = 0
        self._count()

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
        self._settled()
        rows = zip(self.requests, self._data[:, : len(self.requests)].T.tolist(), self.joined_s.tolist(), strict=True)
        for request, (_, left, blocks, drafted, accepted, joined, output), joined_s in rows:
            request.produced, request.blocks = output - left, blocks
            request.drafted_tokens, request.accepted_tokens = drafted, accepted
            request.steps += self.tick - joined
            request.computed_s += self.busy_s - joined_s
        self._data[self.COLUMNS.index("joined"), : len(self.requests)] = self.tick
        self.joined_s[:] = self.busy_s

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
