"""The memory that all ranks see: rank 0's commands, and signs of life of the others."""

from __future__ import annotations

import time
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from engine.executors.native.parallel.ring import LINE, Ring

Ints = NDArray[np.int64]
PULSE, DONE = 0, 1


class _Memory(SharedMemory):
    """Closed while the traceback of an error still shows it, it goes with the last that holds it, in silence."""

    def close(self) -> None:
        with suppress(BufferError):
            super().close()


class Board:
    """Rank 0 makes it, with no ``name``, and the others open it by its name. Row 0 is of rank 1, and so on.

    ``unlink`` once all have it: from then on nothing of it stays when the last of them ends, however that is.
    """

    def __init__(self, others: int, name: str | None = None):
        size = others * LINE + Ring.size_of(others)
        self._memory = _Memory(name, create=name is None, size=8 * size)
        self._linked = name is None
        assert self._memory.buf is not None
        words: Ints = np.frombuffer(self._memory.buf, np.int64, size)
        self._signs = words[: others * LINE].reshape(others, LINE)
        self.ring = Ring(words[others * LINE :], others)

    @property
    def name(self) -> str:
        return self._memory.name

    def pulse(self, rank: int) -> None:
        """Rank ``rank`` lives."""
        self._signs[rank - 1, PULSE] = time.monotonic_ns()

    def silent_s(self, rank: int) -> float:
        """Seconds since its last sign of life."""
        return (time.monotonic_ns() - int(self._signs[rank - 1, PULSE])) / 1e9

    def finish(self, rank: int) -> None:
        """Rank ``rank`` is through with one more command."""
        self._signs[rank - 1, DONE] += 1

    def finished(self, rank: int) -> int:
        return int(self._signs[rank - 1, DONE])

    def unlink(self) -> None:
        if self._linked:
            self._linked = False
            self._memory.unlink()

    def close(self) -> None:
        self.unlink()
        del self._signs, self.ring
        self._memory.close()
