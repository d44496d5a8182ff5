"""Which adapters are loaded, merged and served together."""

from __future__ import annotations

from collections.abc import Callable

from engine.adapters.base import Adapters
from engine.adapters.credit import Credit
from engine.adapters.merged import Merged
from engine.adapters.one_at_a_time import PEFT, OneModelEach
from engine.adapters.queue import Queue
from engine.adapters.unmerged import MultiLoRA, Unmerged

ADAPTERS: dict[str, Callable[..., Adapters] | None] = {
    "none": None,
    "unmerged": Unmerged,
    "merged": Merged,
    "credit": Credit,
    "multi-lora": MultiLoRA,
    "peft": PEFT,
    "one-model-each": OneModelEach,
}

__all__ = ["ADAPTERS", "Adapters", "Queue"]
