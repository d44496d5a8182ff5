"""The process of a rank other than 0: it loads its part of the model, then does what rank 0 says."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import numpy as np
import torch
from numpy.typing import NDArray

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.graphs import unpacked
from engine.executors.native.memory import free_unused, memory_of
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.parallel.board import Board
from engine.executors.native.parallel.commands import Command, unpack
from engine.executors.native.parallel.group import Group, call
from engine.models.decoder import Decoder
from engine.models.split import Split

Ints = NDArray[np.int64]
Load = Callable[[Split, torch.device], Decoder]
HERE, LOADED, BUILT = "here", "loaded", "built"
PULSE_S = 0.1


@dataclass(frozen=True)
class Seat:
    """What a rank's process is started with. ``parent`` is rank 0's process, with whose end it ends."""

    split: Split
    device: torch.device
    load: Load
    port: int
    board: str
    parent: int
    patience_s: float
    threads: int


@dataclass(frozen=True)
class Raised:
    """What ended a rank, and when (time.monotonic); ``memory``: that of its device ran out."""

    at: float
    line: str
    traceback: str
    memory: bool


def run(seat: Seat, pipe: Connection) -> None:
    """The life of the process, which ends without waiting for the GPU."""
    torch.set_num_threads(seat.threads)
    try:
        _live(seat, pipe)
    except BaseException as error:
        with suppress(OSError):
            memory = isinstance(error, torch.OutOfMemoryError)
            pipe.send(Raised(time.monotonic(), _last_line(error), traceback.format_exc(), memory))
        os._exit(1)
    os._exit(0)


def _live(seat: Seat, pipe: Connection) -> None:
    board, rank = Board(seat.split.of - 1, seat.board), seat.split.rank
    board.pulse(rank)
    Thread(target=_beat, args=(board, rank, seat.parent), daemon=True).start()
    pipe.send(HERE)
    group = Group(seat.split, seat.device, call(seat.port), seat.patience_s)
    decoder = seat.load(seat.split, seat.device)
    decoder.collectives = group
    pipe.send(LOADED)
    _serve(board, rank, group, decoder, pipe)
    free_unused(group.device)
    group.leave()


def _serve(board: Board, rank: int, group: Group, decoder: Decoder, pipe: Connection) -> None:
    runner: ModelRunner | None = None
    while True:
        command, arrays = unpack(board.ring.receive(rank - 1, lambda waited: None))
        if command is Command.STOP:
            return
        if command is Command.BUILD:
            runner, options = None, pipe.recv()
            free_unused(group.device)
            group.use_symmetric_memory(decoder.dtype)
            runner = ModelRunner(decoder, *options)
            pipe.send(BUILT)
        elif command is Command.MEMORY:
            pipe.send(memory_of(group.device))
        else:
            assert runner is not None
            _do(command, arrays, runner, group)
        board.finish(rank)


def _do(command: Command, arrays: list[Ints], runner: ModelRunner, group: Group) -> None:
    if command is Command.FORWARD:
        runner.forward(ForwardInput(*arrays))
    elif command is Command.FORWARD_GIVEN:
        step = ForwardInput(*arrays)
        tokens = torch.empty(len(step.tokens), dtype=torch.int64, device=group.device)
        runner.forward(step, group.broadcast(tokens))
    elif command is Command.WARM_UP:
        runner.warm_up(unpacked(arrays[0]), lambda: None)
    elif command is Command.MOVE:
        runner.move(*arrays)
    elif command is Command.CLEAR:
        runner.clear(*arrays)
    elif command is Command.CLEAR_SLOTS:
        runner.clear_slots(*arrays)
    elif command is Command.SWAP_OUT:
        runner.swap_out(int(arrays[0][0]), arrays[1])
    elif command is Command.SWAP_IN:
        runner.swap_in(int(arrays[0][0]), arrays[1])
    else:
        runner.forget(int(arrays[0][0]))


def _beat(board: Board, rank: int, parent: int) -> None:
    """Signs of life, until the parent is gone: then this process goes too, whatever it waits for."""
    while os.getppid() == parent:
        board.pulse(rank)
        time.sleep(PULSE_S)
    os._exit(1)


def _last_line(error: BaseException) -> str:
    """The exception in a line, with the place where it was raised."""
    text = traceback.format_exception_only(error)[-1].strip()
    where = traceback.extract_tb(error.__traceback__)[-1:]
    return " ".join([text, *(f"({Path(frame.filename).name}, line {frame.lineno})" for frame in where)])
