"""The models of a native run, loaded once."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import torch

from engine.errors import InputError
from engine.models.pair import TINY, Pair, load_pair
from engine.models.widened import SHAPES
from hosting.machine import cores, memory_bytes

WEIGHTS_KEPT = 2.2


@cache
def load(model: str, weights: str) -> Pair:
    """The pair behind a model's name, in fp32 on the CPU. InputError when it cannot be had or does not fit the memory.

    One core is left to whatever else runs: threads that wait for one another at the end of every operation stand still
    when one of them is pushed aside.
    """
    torch.set_num_threads(max(1, cores() - 1))
    needed, there = _bytes(model), memory_bytes()
    if there is not None and needed > there:
        raise InputError(
            f"{model} needs {needed / 1e9:.0f} GB in float32 and this machine has {there / 1e9:.0f} GB; use --model tiny."
        )
    return load_pair(model, weights=cast(Literal["own", "widened"], weights))


def _bytes(model: str) -> float:
    """float32 weights and their copy in the layout of fast products."""
    return WEIGHTS_KEPT * 4 * SHAPES[model].parameters if model in SHAPES else 0.0


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
def load_prompts(model: str, weights: str) -> Prompts:
    """The tiny pair's held-out texts in the tokens of ``model``."""
    tokenizer = load(model, weights).tokenizer
    lines = [json.loads(line) for line in gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()]
    ids = tuple(tuple(tokenizer.encode(line["text"])) for line in lines)
    return Prompts(ids, tuple(str(line["kind"]) for line in lines))
