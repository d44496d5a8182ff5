"""How a step is filled: admission, KV accounting, pre-emption and the token budget, once for all orderings."""

from __future__ import annotations

from collections.abc import Callable

from engine.batching.base import Batching
from engine.batching.orca import Orca
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM

BATCHINGS: dict[str, Callable[..., Batching]] = {"slora": SLoRA, "vllm": VLLM, "sarathi": Sarathi, "orca": Orca}

__all__ = ["BATCHINGS", "Batching"]
