"""The contract of a batching policy, and the mechanics that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.adapters.base import Adapters
from engine.adapters.queue import Queue
from engine.arrivals import Socket
from engine.batch import Batch
from engine.contract import ContractError, named
from engine.horizon import ONE_STEP, Horizon
from engine.kv_cache import BlockPool
from engine.ordering import Ordering
from engine.plan import Chunk, DraftShape, StepPlan
from engine.request import RUNNING, WAITING, Request


class Keeper(Protocol):
    """Keeps the keys and values of requests: an executor."""

    def release(self, request: Request) -> None: ...

    def swap_out(self, request: Request) -> None: ...

    def swap_in(self, request: Request) -> None: ...


@dataclass(slots=True)
class Running:
    """What the engine runs with: the queue, the pool, host memory for KV that is swapped out, and who was admitted.

    ``parked`` are past their prefill and hold their blocks, and this step passes them by. ``adapters`` chooses among all that
    wait or run, who are in ``queue``; None where there are none. ``preemptions`` counts them.
    """

    ordering: Ordering
    pool: BlockPool
    keeper: Keeper
    host: BlockPool | None = None
    batch: Batch = field(default_factory=Batch)
    prefilling: list[Request] = field(default_factory=list)
    parked: list[Request] = field(default_factory=list)
    adapters: Adapters | None = None
    queue: Queue | None = None
    preemptions: int = 0

    def admit(self, request: Request, now: float) -> None:
        """Take ``request``, which ``ordering.next`` returned, with the blocks of its whole prefill, and what of it was swapped
        out back in."""
        if request.status != WAITING:
            raise ContractError(self.ordering, "next", f"named {named(request)}, which is {request.status} and does not wait")
        request.blocks = self.pool.blocks(request.prefill_tokens)
        self.pool.take(request.blocks)
        if request.swapped:
            self._give_host_back(request)
            self.keeper.swap_in(request)
        request.status = RUNNING
        if request.admitted_s is None:
            request.admitted_s = now
        self.ordering.on_admit(request, now)
        self.prefilling.append(request)

    def grow(self, tokens: int) -> None:
        """Give every row room for ``tokens`` more tokens, or to its end. The caller made sure that there is room."""
        batch, pool = self.batch, self.pool
        if pool.block_size == 1 and tokens == 1:
            pool.take(len(batch.requests))
            batch.hold(1)
            return
        missing = self._missing(tokens)
        pool.take(int(missing.sum()))
        batch.blocks[:] += missing

    def _missing(self, tokens: int) -> NDArray[np.int64]:
        size, ahead = self.pool.block_size, np.minimum(tokens, self.batch.left)
        return np.maximum((self.batch.context + ahead + size - 1) // size - self.batch.blocks, 0)

    def room(self, steps: int) -> int:
        """Of ``steps`` more steps of a token a row, after a planned one, those that there are free blocks for, or fewer."""
        rows, pool = len(self.batch.requests), self.pool
        if rows * pool.blocks(steps) <= pool.free:
            return steps
        while steps and int(self._missing(1 + steps).sum()) > pool.free:
            steps //= 2
        return steps

    def extend(self, steps: int) -> None:
        """Take the blocks of ``steps`` more steps of a token a row, after a planned one; ``room`` said that there are."""
        if self.pool.block_size == 1:
            self.pool.take(len(self.batch.requests) * steps)
            self.batch.hold(steps)
        else:
            missing = self._missing(1 + steps)
            self.pool.take(int(missing.sum()))
            self.batch.blocks[:] += missing

    def ask_again(self, now: float) -> None:
        """A pass over who waits in which nobody can enter."""
        self.ordering.on_pass(now)
        if (request := self.ordering.next(now)) is not None:
            self.ordering.on_blocked(request, now)

    def make_room(self, tokens: int, now: float) -> None:
        """Pre-empt whom the ordering names until every other row has room for ``tokens`` more, then grow."""
        missing = self._missing(tokens)
        while int(missing.sum()) > self.pool.free:
            self.preempt(self._victim(self.admitted(), None, now))
            missing = self._missing(tokens)
        self.pool.take(int(missing.sum()))
        self.batch.blocks[:] += missing

    def give_way(self, waiting: Request, seats: int, blocks: int, now: float) -> bool:
        """Pre-empt decoding requests in favour of ``waiting``, as the ordering names them, until ``seats`` and ``blocks``
        more are free. Nobody, when it names too few."""
        running, victims = list(self.batch.requests), list[Request]()
        freed, held = 0, dict(zip(running, self.batch.blocks.tolist(), strict=True))
        while (freed < blocks or len(victims) < seats) and running:
            victim = self._victim(running, waiting, now)
            if victim is None:
                return False
            running.remove(victim)
            victims.append(victim)
            freed += held[victim]
        if freed < blocks or len(victims) < seats:
            return False
        for victim in victims:
            self.preempt(victim)
        return True

    def preempt(self, request: Request | None) -> None:
        """A running request gives its blocks back and waits at the head of its line. Its keys and values are swapped out to
        host memory where there is room, else they are computed again."""
        assert request is not None
        computed = request.prefilled if request in self.prefilling else request.prefill_tokens - 1
        blocks = self.pool.blocks(computed)
        if self.host is not None and 0 < blocks <= self.host.free:
            self._take_out(request)
            self.host.take(blocks)
            request.swapped, request.prefilled = blocks, computed
            self.keeper.swap_out(request)
        else:
            self.take_out(request)
            request.prefilled = 0
        request.status = WAITING
        request.preemptions += 1
        self.preemptions += 1
        self.ordering.requeue(request)

    def take_out(self, request: Request) -> None:
        """A running request leaves, with its blocks given back and its keys and values forgotten."""
        self._take_out(request)
        self.keeper.release(request)

    def _take_out(self, request: Request) -> None:
        if request in self.prefilling:
            self.prefilling.remove(request)
        elif request in self.parked:
            self.parked.remove(request)
        else:
            self.batch.remove(np.array([self.batch.requests.index(request)]))
        self._give_back(request)

    def forget(self, request: Request) -> None:
        """A waiting request is given up: what of it was swapped out is forgotten."""
        if request.swapped:
            self._give_host_back(request)
            self.keeper.release(request)

    def let_go(self, request: Request, keeps: bool) -> int:
        """A request goes on elsewhere: nothing of it stays here. Returns the tokens whose keys and values go along."""
        kept = request.prefilled if request.swapped else 0
        if request.status == WAITING:
            if kept and not keeps:
                kept = 0
            self.forget(request)
        else:
            if keeps and request not in self.prefilling:
                request.prefilled = kept = request.prefill_tokens - 1
                self.keeper.swap_out(request)
            self.take_out(request)
        request.prefilled = 0
        return kept

    def take_in(self, request: Request, kept: int) -> None:
        """A request from elsewhere will wait here, its keys and values of ``kept`` tokens in host memory if that has room."""
        blocks = self.pool.blocks(kept)
        if self.host is not None and 0 < blocks <= self.host.free:
            self.host.take(blocks)
            request.swapped, request.prefilled = blocks, kept

    def admitted(self) -> list[Request]:
        """What runs, in order of admission, and behind it who is passed by."""
        return [*self.batch.requests, *self.prefilling, *self.parked]

    def decode_only(self, requests: Sequence[Request]) -> None:
        """Of those past their prefill ``requests`` alone are in the batch; the others are parked."""
        chosen = set(requests)
        if len(away := [row for row, request in enumerate(self.batch.requests) if request not in chosen]):
            self.parked += self.batch.remove(np.array(away))
        for request in [request for request in self.parked if request in chosen]:
            self.parked.remove(request)
            self.batch.add(request)

    def _victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        victim = self.ordering.victim(running, waiting, now)
        if victim not in running and (victim is not None or waiting is None):
            raise ContractError(self.ordering, "victim", f"named {named(victim)} of {len(running)} that run")
        return victim

    def release(self, request: Request) -> None:
        """A request that ended gives its blocks back, and its keys and values are forgotten."""
        self._give_back(request)
        self.keeper.release(request)

    def _give_back(self, request: Request) -> None:
        self.pool.give(request.blocks)
        request.blocks = 0

    def _give_host_back(self, request: Request) -> None:
        assert self.host is not None
        self.host.give(request.swapped)
        request.swapped = 0

    def sequences(self) -> int:
        """Requests admitted and not finished."""
        return len(self.batch) + len(self.prefilling) + len(self.parked)

    def check(self) -> None:
        """Raise AssertionError unless every KV block is free or held by exactly one running request, and every row's blocks
        have room for its tokens."""
        self.pool.check([*(request.blocks for request in (*self.prefilling, *self.parked)), *self.batch.blocks.tolist()])
        assert (self.batch.blocks * self.pool.block_size >= self.batch.context).all(), "a row has more tokens than room"


class Batching(ABC):
    """Fills one step at a time. ``socket`` is how the server that it is of sees arrivals; ``swap_tokens`` of KV fit the host
    memory that pre-empted requests are swapped out to, 0 where they are computed again. ``asks_adapters``: it lets
    ``Running.adapters`` choose who goes in a step."""

    block_size: int = 16
    swap_tokens: int = 0
    socket: Socket = Socket()
    asks_adapters: bool = False

    @abstractmethod
    def refuse(self, request: Request, pool: BlockPool) -> str | None:
        """Why this request can never run, or None."""

    @abstractmethod
    def plan(self, running: Running, draft: DraftShape | None, now: float) -> StepPlan | None:
        """The next step, with its KV blocks taken, or None when there is nothing to run.

        ``draft`` is the shape that speculation wants for the rows of the batch, None without speculation.
        """

    def horizon(self, running: Running) -> Horizon:
        """How many steps would be planned like the one that just was, a decode of the whole batch without drafts, if nobody
        arrives or leaves and blocks do not run out. Where it would ask the ordering, no more than that one's horizon.

        One step, unless the policy knows better; asked only of policies that come with the kit.
        """
        return ONE_STEP

    def repeat(self, running: Running, steps: int, now: float) -> None:
        """Count ``steps`` more steps as planned like the last one, within the horizon; the last of them begins at ``now``.
        Of their passes over who waits only the last has to be made. Their blocks are taken."""


class PagedBatching(Batching):
    """Admission by paged KV: at most ``max_sequences`` run, and ``watermark`` of the pool stays free when one enters."""

    def __init__(self, max_sequences: int, watermark: float, block_size: int, swap_tokens: int):
        require_positive(max_sequences=max_sequences, block_size=block_size)
        if swap_tokens and not (swap_tokens >= block_size and float(swap_tokens).is_integer()):
            raise ValueError(f"swap_tokens must be 0 or at least a block of {block_size}, not {swap_tokens}")
        self.swap_tokens = int(swap_tokens)
        self.max_sequences = max_sequences
        self.watermark = watermark
        self.block_size = block_size

    def horizon(self, running: Running) -> Horizon:
        return running.ordering.horizon(running.batch.by_client)

    def repeat(self, running: Running, steps: int, now: float) -> None:
        running.ask_again(now)

    def refuse(self, request: Request, pool: BlockPool) -> str | None:
        longest = request.prompt_tokens + request.output_tokens
        if pool.blocks(longest) > pool.capacity - self._reserve(pool):
            return f"{longest} tokens do not fit a pool of {pool.tokens}"
        return None

    def next_to_admit(self, running: Running, now: float) -> Request | None:
        """The request that ordering offers, if there is a seat and room for its whole prefill."""
        request = running.ordering.next(now)
        if request is None:
            return None
        pool = running.pool
        blocks = pool.blocks(request.prefill_tokens) - (pool.free - self._reserve(pool))
        seats = running.sequences() + 1 - self.max_sequences
        if (blocks <= 0 and seats <= 0) or running.give_way(request, seats, blocks, now):
            return request
        running.ordering.on_blocked(request, now)
        return None

    def _reserve(self, pool: BlockPool) -> int:
        return int(self.watermark * pool.capacity)


def whole_prefill(request: Request) -> Chunk:
    """The rest of a request's prefill as one chunk."""
    return Chunk(request, request.prefilled, request.prefill_tokens - request.prefilled)


def require_positive(**parameters: float) -> None:
    """Raise ValueError for the first parameter that is not above 0."""
    for name, value in parameters.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}")
