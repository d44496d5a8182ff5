"""What the card can do, and how long a call takes on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from engine.models.widened import SHAPES

CONTEXT, PAGE = 512, 16
SHAPE = replace(SHAPES["llama-3.1-8b"], context=4096)


def seconds(run: Callable[[], object], repeats: int = 20) -> float:
    """Median seconds of a call by device events, after three to warm up."""
    found = []
    for _ in range(repeats + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return median(found[3:])


def card() -> dict[str, Any]:
    """Name, read bandwidth and bfloat16 matrix rate."""
    x = torch.empty(1 << 31, dtype=torch.float32, device="cuda").normal_()
    read = x.numel() * 4 / seconds(x.sum)
    del x
    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16).unbind(0)
    rate = 2 * 8192**3 / seconds(lambda: a @ b)
    return {"card": torch.cuda.get_device_name(), "read_TBps": read / 1e12, "matrix_TFLOPs": rate / 1e12}
