"""How many draft tokens for whom."""

from __future__ import annotations

from collections.abc import Callable

from engine.speculation.adaserve import AdaServe
from engine.speculation.base import Speculation
from engine.speculation.chain import Chain
from engine.speculation.goodput import GoodputChain
from engine.speculation.specinfer import SpecInfer

SPECULATIONS: dict[str, Callable[..., Speculation] | None] = {
    "off": None,
    "chain": Chain,
    "adaserve": AdaServe,
    "specinfer": SpecInfer,
    "goodput": GoodputChain,
}

__all__ = ["SPECULATIONS", "Speculation"]
