"""How far off a policy's next decision is."""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class Horizon(NamedTuple):
    """Decode steps that follow one another without a decision: ``steps`` of them, the one just planned included, and of
    those the ones that begin before ``until_s``."""

    steps: float
    until_s: float = inf

    def within(self, steps: float) -> Horizon:
        """The same, of at most ``steps`` steps."""
        return self if self.steps <= steps else Horizon(steps, self.until_s)


ONE_STEP = Horizon(1)
ENDLESS = Horizon(inf)
