"""The models of a native run, loaded once."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import torch

from engine.errors import InputError
from engine.executors.simulated.profiles import load_model, models
from engine.models.pair import TINY, Pair, load_pair
from hosting.device import CPU, Device
from hosting.machine import cores, memory_bytes

WEIGHTS_KEPT = 2.2


@cache
def load(model: str, weights: str, device: Device = CPU) -> Pair:
    """The pair behind a model's name on a device. InputError when it cannot be had or does not fit the memory.

    One core is left to whatever else runs: threads that wait for one another at the end of every operation stand still
    when one of them is pushed aside.
    """
    kind = cast(Literal["own", "widened"], weights)
    if device.gpus:
        return _on_gpus(model, kind, device)
    torch.set_num_threads(max(1, cores() - 1))
    needed, there = _bytes(model), memory_bytes()
    if there is not None and needed > there:
        raise InputError(
            f"{model} needs {needed / 1e9:.0f} GB in float32 and this machine has {there / 1e9:.0f} GB; use --model tiny."
        )
    return load_pair(model, weights=kind)


def _on_gpus(model: str, weights: Literal["own", "widened"], device: Device) -> Pair:
    if not torch.cuda.is_available():
        raise InputError(
            f"PyTorch {torch.__version__} cannot use {device.title}; install one for CUDA, or choose --device cpu."
        )
    if device.gpus > 1:
        raise InputError(f"{model} on {device.title} needs tensor parallelism, which is not built; choose one GPU.")
    try:
        return load_pair(model, dtype=getattr(torch, device.dtype), device="cuda", weights=weights)
    except torch.OutOfMemoryError as error:
        free, total = torch.cuda.mem_get_info()
        raise InputError(
            f"the weights of {model} in {device.dtype} do not fit {device.title}, which has {free / 1e9:.0f} GB free of"
            f" {total / 1e9:.0f} GB; use more GPUs, or a smaller model."
        ) from error


def _bytes(model: str) -> float:
    """float32 weights and their copy in the layout of fast products."""
    return WEIGHTS_KEPT * 4 * load_model(model).parameters if model in models() else 0.0


@dataclass(frozen=True)
class Prompts:
    """Held-out texts as token ids, each of a kind: coding, chat or summarization."""

    ids: tuple[tuple[int, ...], ...]
    kinds: tuple[str, ...]

    def lengths(self) -> dict[str, list[tuple[int, int]]]:
        """By kind: number and tokens of each text."""
        texts: dict[str, list[tuple[int, int]]] = {}
        for number, (ids, kind) in enumerate(zip(self.ids, self.kinds, strict=True)):
            texts.setdefault(kind, []).append((number, len(ids)))
        return texts

    def take(self, number: int, tokens: int) -> tuple[int, ...]:
        """The first ``tokens`` tokens of a text, which begins again where it is too short."""
        ids = self.ids[number]
        return (ids * -(-tokens // len(ids)))[:tokens]


@cache
def load_prompts(model: str, weights: str, device: Device = CPU) -> Prompts:
    """The tiny pair's held-out texts in the tokens of ``model``."""
    tokenizer = load(model, weights, device).tokenizer
    lines = [json.loads(line) for line in gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()]
    ids = tuple(tuple(tokenizer.encode(line["text"])) for line in lines)
    return Prompts(ids, tuple(str(line["kind"]) for line in lines))
