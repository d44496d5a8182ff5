"""The clock on the wall."""

from __future__ import annotations

import threading
import time


class WallClock:
    """Seconds since it was made or last reset."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._woken = threading.Event()

    @property
    def now(self) -> float:
        return time.perf_counter() - self._start

    def reset(self) -> None:
        """Begin again at 0."""
        self._start = time.perf_counter()

    def advance(self, elapsed_s: float) -> None:
        """The step's time has passed by itself."""

    def wait_until(self, time_s: float) -> None:
        """Sleep until ``time_s`` or an interruption; a time that has passed returns at once."""
        self._woken.wait(max(0.0, min(time_s - self.now, threading.TIMEOUT_MAX)))
        self._woken.clear()

    def interrupt(self) -> None:
        """Wake who sleeps, from another thread; what comes before the sleep cuts it short too."""
        self._woken.set()
