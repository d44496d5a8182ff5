"""A clock that moves only when told."""

from __future__ import annotations


class VirtualClock:
    """Seconds since the start of a simulated run."""

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, elapsed_s: float) -> None:
        self.now += elapsed_s

    def wait_until(self, time_s: float) -> None:
        self.now = max(self.now, time_s)

    def interrupt(self) -> None:
        """Nobody sleeps here."""
