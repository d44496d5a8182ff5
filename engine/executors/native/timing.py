"""Where the device's time goes in a step, by events on its stream."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

import torch

HOST, DRAFT, SELECT, VERIFY, ACCEPT, PREFILL = "host", "draft", "select", "verify", "accept", "prefill"


class Times(Protocol):
    def mark(self, part: str) -> None:
        """What the device was told since the last mark belongs to ``part``."""


class NoTimes:
    """Nobody asks."""

    def mark(self, part: str) -> None: ...


class DeviceTimes:
    """Seconds of a CUDA device by part. A mark that is set while the device waits for the host ends when it is set, so that
    ``HOST``, marked before anything is launched, is what the device waited."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, torch.cuda.Event]] = []

    def mark(self, part: str) -> None:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._marks.append((part, event))

    def read(self) -> dict[str, float]:
        """Seconds of each part since the first mark; begins anew."""
        torch.cuda.synchronize()
        seconds: dict[str, float] = defaultdict(float)
        for (_, before), (part, event) in zip(self._marks, self._marks[1:], strict=False):
            seconds[part] += before.elapsed_time(event) / 1e3
        self._marks.clear()
        return dict(seconds)
