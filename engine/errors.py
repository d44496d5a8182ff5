"""What a person is told in one sentence: bad input, and a policy that raised."""

from __future__ import annotations

from typing import Any


class InputError(Exception):
    """Bad input: one sentence that says what is wrong, where, and what to type next. Commands print it and exit with 2."""


class PolicyError(Exception):
    """A policy raised: one sentence with its name, the request and the place. Commands print it and exit with 1.

    ``outcome`` is what was recorded until then, where a run was recorded.
    """

    def __init__(self, sentence: str, outcome: Any = None):
        super().__init__(sentence)
        self.outcome = outcome


class RankError(Exception):
    """A rank of a split model died, raised or hangs: one sentence with the rank and the cause. The run cannot go on.

    ``rank`` where it is known which; ``traceback`` is the rank's own, where it raised.
    """

    def __init__(self, sentence: str, rank: int | None = None, traceback: str = ""):
        super().__init__(sentence)
        self.rank, self.traceback = rank, traceback
