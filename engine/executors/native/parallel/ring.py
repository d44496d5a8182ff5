"""Messages from one process to several others through shared memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.executors.native.parallel.waiting import Watch, wait_until

Ints = NDArray[np.int64]
SLOTS, WORDS = 8, 1 << 16
NUMBER, LEFT, HEAD = 0, 1, 2
LINE = 8


class Ring:
    """``slots`` places of ``words`` words which one writer fills in turn and each of ``readers`` readers empties.

    ``memory`` is ``size_of`` words, at first zeros. A message that is longer than a slot takes several. A slot holds its
    number, counted from 1 and stored last (x86-64 keeps stores in order), the words of the message that are still to come,
    and words. A slot is filled again once every reader has taken it.
    """

    def __init__(self, memory: Ints, readers: int, slots: int = SLOTS, words: int = WORDS):
        self._words = words
        self._taken = memory[: readers * LINE : LINE]
        self._slots = memory[readers * LINE :].reshape(slots, HEAD + words)
        self._sent = 0

    @staticmethod
    def size_of(readers: int, slots: int = SLOTS, words: int = WORDS) -> int:
        return readers * LINE + slots * (HEAD + words)

    def send(self, message: Ints, watch: Watch) -> None:
        """Only the one writer's ring may send. ``watch``: see ``wait_until``."""
        for begin in range(0, len(message), self._words):
            wait_until(self._has_room, watch)
            part, slot = message[begin : begin + self._words], self._slots[self._sent % len(self._slots)]
            slot[LEFT] = len(message) - begin
            slot[HEAD : HEAD + len(part)] = part
            self._sent += 1
            slot[NUMBER] = self._sent

    def receive(self, reader: int, watch: Watch) -> Ints:
        """The next message for ``reader``, in memory of its own."""
        parts = [self._take(reader, watch)]
        while parts[-1][LEFT] > self._words:
            parts.append(self._take(reader, watch))
        return parts[0][HEAD:] if len(parts) == 1 else np.concatenate([part[HEAD:] for part in parts])

    def _take(self, reader: int, watch: Watch) -> Ints:
        taken = int(self._taken[reader])
        slot = self._slots[taken % len(self._slots)]
        wait_until(lambda: bool(slot[NUMBER] == taken + 1), watch)
        part: Ints = slot[: HEAD + min(int(slot[LEFT]), self._words)].copy()
        self._taken[reader] = taken + 1
        return part

    def _has_room(self) -> bool:
        return bool(self._taken.min() + len(self._slots) > self._sent)
