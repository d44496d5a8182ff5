"""The processes of ranks 1 and up, started, watched and ended by rank 0."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from copy import copy
from math import inf
from multiprocessing import get_context
from threading import Thread
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from engine.errors import InputError, RankError, RunError
from engine.executors.native.memory import Memory, free_unused, memory_of
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.parallel.board import Board
from engine.executors.native.parallel.commands import Command, pack
from engine.executors.native.parallel.faults import Member, fault, late, unstarted
from engine.executors.native.parallel.group import Group, listen
from engine.executors.native.parallel.rank import BUILT, HERE, LOADED, Load, Seat, run
from engine.executors.native.parallel.runner import ParallelRunner
from engine.models.decoder import Decoder
from engine.models.split import Split

Ints = NDArray[np.int64]
T = TypeVar("T")
PATIENCE_S, START_S = 20.0, 120.0
LOOK_S, MOMENT_S, SETTLE_S, GOODBYE_S = 0.02, 0.3, 2.0, 5.0


class Ranks:
    """Ranks 1 to ``of`` - 1 of a split model; this process is rank 0. One set at a time, on one host.

    ``load`` (of rank and device; it is sent to the processes, so it must be importable) gives a rank its part of the model.
    ``device``: "cpu", or "cuda" for one GPU each. ``patience_s``: how long a rank may leave the others waiting; a rank that
    dies, raises or hangs ends the run with a RankError within that time and a few seconds.

    A context manager: at its end, however that comes, the processes are gone.
    """

    def __init__(self, of: int, load: Load, device: str = "cpu", patience_s: float = PATIENCE_S):
        if of < 2 or dist.is_initialized():
            raise ValueError("Ranks are two or more, and one set at a time; close the others first.")
        self.split, self.device = Split(0, of), _device(device, 0)
        self._patience_s, self._sent, self._next_look = patience_s, 0, 0.0
        self._broken = self._closed = False
        self._group: Group | None = None
        self._members: list[Member] = []
        self._runner: ParallelRunner | None = None
        self._board = Board(of - 1)
        atexit.register(self.close)
        try:
            self._start(load, device)
        except BaseException:
            self._broken = True
            self.close()
            raise

    @property
    def description(self) -> str:
        """How many ranks there are, and by what means they sum."""
        return self._joined.description

    @property
    def processes(self) -> list[int]:
        """The process ids of ranks 1 and up."""
        return [member.process.pid or 0 for member in self._members]

    def runner(
        self, decoder: Decoder, blocks: int, block_size: int, kernel: str = "reference", graphs: bool = False, longest: int = 0
    ) -> ParallelRunner:
        """A runner of rank 0's part ``decoder`` and of everybody else's; it takes the place of the one before.

        The arguments are ModelRunner's, so that this can stand for it (``make_runner`` of NativeExecutor).
        """
        rows, of = decoder.weights.head.shape[0], self.split.of
        if rows * of != decoder.config.vocabulary:
            raise ValueError(f"the decoder is not rank 0's part of {of}; load it with split={self.split}.")
        group, mine, options = self._joined, copy(decoder), (blocks, block_size, kernel, graphs, longest)
        mine.collectives = group
        self._hear_word(LOADED)
        if self._runner is not None:
            self._runner.retire()
        with self.together(Command.BUILD):
            for member in self._members:
                member.said.discard(BUILT)
                member.pipe.send(options)
            self._while_they_live(lambda: group.use_symmetric_memory(decoder.dtype))
            local = ModelRunner(mine, *options)
            self._hear_word(BUILT)
        self._runner = ParallelRunner(local, group, self.together)
        return self._runner

    def memory(self) -> list[Memory]:
        """Of each rank's device, rank 0's first, once they have done all that they were told."""
        for member in self._members:
            member.memory = None
        with self.together(Command.MEMORY):
            if not self._hear(lambda member: member.memory is not None, self._patience_s):
                raise late(self._members, self._board, self._sent, self._patience_s)
        return [memory_of(self.device), *(member.memory for member in self._members if member.memory is not None)]

    @contextmanager
    def together(self, command: Command, arrays: Sequence[Ints] = ()) -> Iterator[None]:
        """Send a command to the other ranks, then do rank 0's part inside. RankError when another rank is at fault."""
        if self._broken or self._closed:
            raise RankError("the ranks have ended; start the run again.")
        began = time.monotonic()
        try:
            self._board.ring.send(pack(command, arrays), self.watch)
            self._sent += 1
            yield
        except (InputError, RunError):
            self._broken = True
            raise
        except Exception as error:
            self._broken = True
            if (found := self._blamed(time.monotonic() - began)) is None:
                raise
            raise found from error
        except BaseException:
            self._broken = True
            raise

    def watch(self, waited_s: float) -> None:
        """RankError when a rank is at fault, or when rank 0 has waited for ``waited_s`` seconds, longer than is right."""
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + LOOK_S
        found = fault(self._members, self._board, self._patience_s)
        if found is None and waited_s > self._patience_s:
            found = late(self._members, self._board, self._sent, self._patience_s)
        if found is not None:
            self._broken = True
            raise self._settled() or found

    def close(self) -> None:
        """End the ranks: in peace where nothing is wrong, at once where something is. Nothing of them stays."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            if not self._broken:
                self._part()
        finally:
            self._kill()
            if self._group is not None:
                self._group.leave()
            self._board.close()

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._broken = self._broken or kind is not None
        self.close()

    @property
    def _joined(self) -> Group:
        assert self._group is not None
        return self._group

    def _start(self, load: Load, device: str) -> None:
        context, store, of = get_context("spawn"), listen(), self.split.of
        for rank in range(1, of):
            seat = Seat(Split(rank, of), _device(device, rank), load, store.port, self._board.name, os.getpid(),
                        self._patience_s, max(1, torch.get_num_threads() // of))
            here, there = context.Pipe()
            process = context.Process(target=run, args=(seat, there), name=f"rank {rank} of {of}", daemon=True)
            with _interrupts_blocked():
                process.start()
            there.close()
            self._members.append(Member(rank, of, process, here))
        self._hear_word(HERE, START_S)
        self._board.unlink()
        try:
            self._group = self._while_they_live(lambda: Group(self.split, self.device, store, self._patience_s))
        except RankError:
            raise
        except Exception as error:
            raise self._blamed(0.0) or error from error
        self._group.watch = self.watch

    def _while_they_live(self, meet: Callable[[], T]) -> T:
        """What ``meet`` gives, which waits for the other ranks in a thread of its own; RankError when one is at fault."""
        ended: Future[T] = Future()

        def run_it() -> None:
            try:
                ended.set_result(meet())
            except BaseException as error:
                ended.set_exception(error)

        Thread(target=run_it, daemon=True).start()
        while not ended.done():
            self.watch(0.0)
            time.sleep(LOOK_S)
        return ended.result()

    def _hear_word(self, word: str, limit_s: float = inf) -> None:
        """Until every rank has said ``word``; where there is no limit, for as long as they live."""
        if not self._hear(lambda member: member.has_said(word), limit_s):
            raise unstarted(self._members, word, limit_s)

    def _hear(self, done: Callable[[Member], bool], limit_s: float = inf) -> bool:
        """Until every rank is ``done``, while they live; False after ``limit_s`` seconds."""
        began = time.monotonic()
        while not all(done(member) for member in self._members):
            self.watch(0.0)
            for member in self._members:
                member.hear()
            if time.monotonic() - began > limit_s:
                return False
            time.sleep(LOOK_S)
        return True

    def _blamed(self, waited_s: float) -> RankError | None:
        """The rank that made rank 0's own part fail; it may take a moment to show."""
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            if fault(self._members, self._board, self._patience_s / 2) is not None:
                return self._settled()
            time.sleep(LOOK_S)
        if waited_s >= self._patience_s:
            return late(self._members, self._board, self._sent, self._patience_s)
        return None

    def _settled(self) -> RankError | None:
        """The fault that was first, when those that follow from it may show before it does."""
        time.sleep(MOMENT_S)
        return fault(self._members, self._board, self._patience_s / 2)

    def _part(self) -> None:
        """All leave the group and end by themselves; who does not is left to be killed."""
        with suppress(RankError):
            self._board.ring.send(pack(Command.STOP), self.watch)
            if self._runner is not None:
                self._runner.local.free_graphs()
            free_unused(self.device)
            self._joined.leave()
            until = time.monotonic() + GOODBYE_S
            for member in self._members:
                member.process.join(max(0.0, until - time.monotonic()))

    def _kill(self) -> None:
        for member in self._members:
            if member.process.is_alive():
                member.process.kill()
                member.process.join(GOODBYE_S)
            member.pipe.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that is started inside never hears of an interrupt, which is for rank 0 to answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _device(kind: str, rank: int) -> torch.device:
    return torch.device(kind) if kind == "cpu" else torch.device(kind, rank)
