"""What rank 0 tells the others, as one row of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.executors.native.forward_input import ForwardInput

Ints = NDArray[np.int64]
ROW = -1


class Command(IntEnum):
    """``BUILD``: a new runner, as the pipe says. ``MEMORY``: tell through the pipe what is free. ``FORWARD``: of a
    ForwardInput; ``FORWARD_GIVEN``: of one whose tokens follow by broadcast. The others are methods of a runner."""

    BUILD, MEMORY, FORWARD, FORWARD_GIVEN, WARM_UP, MOVE, CLEAR, CLEAR_SLOTS, SWAP_OUT, SWAP_IN, FORGET, STOP = range(12)


def pack(command: Command, arrays: Sequence[Ints] = ()) -> Ints:
    """The command, how many arrays follow, their rows and columns, and what is in them."""
    head = [int(command), len(arrays)]
    for array in arrays:
        head += [array.shape[0], array.shape[1] if array.ndim == 2 else ROW]
    return np.concatenate([np.array(head, np.int64), *(array.reshape(-1) for array in arrays)])


def unpack(message: Ints) -> tuple[Command, list[Ints]]:
    """The inverse of ``pack``; the arrays are views of the message."""
    count = int(message[1])
    shapes, begin, arrays = message[2 : 2 + 2 * count].reshape(count, 2).tolist(), 2 + 2 * count, []
    for rows, columns in shapes:
        size = rows if columns == ROW else rows * columns
        part = message[begin : begin + size]
        arrays.append(part if columns == ROW else part.reshape(rows, columns))
        begin += size
    return Command(int(message[0])), arrays


def arrays_of(step: ForwardInput) -> list[Ints]:
    """The step's arrays, from which ``ForwardInput(*arrays)`` makes it again."""
    return [getattr(step, field.name) for field in fields(step)]
