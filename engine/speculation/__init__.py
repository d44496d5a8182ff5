"""How many draft tokens for whom."""

from __future__ import annotations

from collections.abc import Callable

from engine.speculation.adaserve import AdaServe
from engine.speculation.base import Speculation
from engine.speculation.chain import Chain

SPECULATIONS: dict[str, Callable[..., Speculation] | None] = {"off": None, "chain": Chain, "adaserve": AdaServe}

__all__ = ["SPECULATIONS", "Speculation"]
