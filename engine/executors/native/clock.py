"""The clock on the wall."""

from __future__ import annotations

import time


class WallClock:
    """Seconds since it was made or last reset."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def now(self) -> float:
        return time.perf_counter() - self._start

    def reset(self) -> None:
        """Begin again at 0."""
        self._start = time.perf_counter()

    def advance(self, elapsed_s: float) -> None:
        """The step's time has passed by itself."""

    def wait_until(self, time_s: float) -> None:
        """Sleep until ``time_s``; a time that has passed returns at once."""
        time.sleep(max(0.0, time_s - self.now))
