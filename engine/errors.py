"""What a person is told in one sentence: bad input, and a run that cannot go on."""

from __future__ import annotations

from typing import Any


class InputError(Exception):
    """Bad input: one sentence that says what is wrong, where, and what to type next. Commands print it and exit with 2."""


class RunError(Exception):
    """A run cannot go on: one sentence with the cause. Commands print it and exit with 1.

    ``outcome`` is what was recorded until then, where a run was recorded. ``final``: no other run of this process can be
    served either.
    """

    final = False

    def __init__(self, sentence: str, outcome: Any = None):
        super().__init__(sentence)
        self.outcome = outcome


class PolicyError(RunError):
    """A policy raised: the sentence has its name, the request and the place."""


class DeviceError(RunError):
    """The device failed, or its memory ran out."""

    def __init__(self, sentence: str, final: bool = False):
        super().__init__(sentence)
        self.final = final


class KernelError(RunError):
    """A kernel cannot be compiled or launched: the sentence names it, and what to choose instead."""

    final = True


class RankError(RunError):
    """A rank of a split model died, raised or hangs: the sentence has the rank and the cause.

    ``rank`` where it is known which; ``traceback`` is the rank's own, where it raised; ``memory``: that of its device ran out.
    """

    final = True

    def __init__(self, sentence: str, rank: int | None = None, traceback: str = "", memory: bool = False):
        super().__init__(sentence)
        self.rank, self.traceback, self.memory = rank, traceback, memory
