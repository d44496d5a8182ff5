"""The models of a native run: one is loaded at a time."""

from __future__ import annotations

import gc
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, cast

import torch

from engine.errors import InputError, RunError
from engine.executors.native.memory import Memory, memory_of
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.parallel.ranks import Ranks
from engine.executors.native.runner import MakeRunner
from engine.models.pair import TINY, Outline, Pair, load_outline, load_pair, load_target
from engine.models.split import UNSPLIT
from exps.run.local import check_memory
from hosting.device import CPU, Device
from hosting.machine import cores

Kind = Literal["own", "widened"]


@dataclass(frozen=True)
class Loaded:
    """A pair on a device. Where ``ranks`` share it, the pair's target is rank 0's part."""

    pair: Pair
    ranks: Ranks | None = None

    @property
    def make_runner(self) -> MakeRunner:
        """What runs the target."""
        return ModelRunner if self.ranks is None else self.ranks.runner

    @property
    def facts(self) -> dict[str, str]:
        """What a run tells of the ranks, where there are any: how many, and by what means they sum."""
        return {} if self.ranks is None else {"ranks": self.ranks.description}

    def memory(self) -> list[Memory]:
        """Of each rank's device, rank 0's first."""
        return [memory_of(self.pair.target.device)] if self.ranks is None else self.ranks.memory()

    def close(self) -> None:
        """End the ranks."""
        if self.ranks is not None:
            self.ranks.close()


_loaded: dict[tuple[str, str, Device], Loaded] = {}


def load(model: str, weights: str, device: Device = CPU) -> Loaded:
    """The pair behind a model's name on a device. InputError when it cannot be had or does not fit the memory.

    It stays until another is loaded, and so do its ranks, which end with the process at the latest.
    """
    key = (model, weights, device)
    if key not in _loaded:
        unload()
        _loaded[key] = _load(model, cast(Kind, weights), device)
    return _loaded[key]


def unload() -> None:
    """Give up what is loaded, and end its ranks."""
    while _loaded:
        _, loaded = _loaded.popitem()
        loaded.close()
        del loaded
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


@contextmanager
def unloaded_by_errors() -> Iterator[None]:
    """What is raised inside, unless it leaves the device as it was, ends the ranks too."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, RunError) or error.final:
            unload()
        raise


def _load(model: str, weights: Kind, device: Device) -> Loaded:
    """One core is left to whatever else runs: threads that wait for one another at the end of every operation stand still
    when one of them is pushed aside."""
    check_memory(model, device)
    if device.gpus:
        _check_gpus(device)
        chosen: dict[str, Any] = {"dtype": getattr(torch, device.dtype)}
    else:
        torch.set_num_threads(max(1, (cores() - 1) // device.ranks))
        chosen = {}
    kind = "cuda" if device.gpus else "cpu"
    arguments = {"name": model, "weights": weights, **chosen}
    ranks = Ranks(device.ranks, partial(load_target, **arguments), kind) if device.ranks > 1 else None
    try:
        on = kind if ranks is None else ranks.device
        return Loaded(load_pair(**arguments, device=on, split=UNSPLIT if ranks is None else ranks.split), ranks)
    except BaseException as error:
        if ranks is not None:
            ranks.close()
        if not isinstance(error, torch.OutOfMemoryError):
            raise
        free, total = torch.cuda.mem_get_info()
        raise InputError(
            f"the weights of {model} in {device.dtype} do not fit {device.title}, which has {free / 1e9:.0f} GB free of"
            f" {total / 1e9:.0f} GB{' on each' if device.gpus > 1 else ''}; use more GPUs, or a smaller model."
        ) from error


def _check_gpus(device: Device) -> None:
    """InputError unless PyTorch can use as many GPUs, of one kind."""
    if not torch.cuda.is_available():
        raise InputError(
            f"PyTorch {torch.__version__} cannot use {device.title}; install one for CUDA, or choose --device cpu."
        )
    if (seen := torch.cuda.device_count()) < device.gpus:
        raise InputError(
            f"PyTorch sees {seen} of the {device.gpus} GPUs of {device.title}; unset CUDA_VISIBLE_DEVICES, or choose"
            f" --device {seen}xgpu."
        )
    if len(kinds := dict.fromkeys(map(torch.cuda.get_device_name, range(device.gpus)))) > 1:
        raise InputError(
            f"PyTorch's first {device.gpus} GPUs are {' and '.join(kinds)}; set CUDA_DEVICE_ORDER=PCI_BUS_ID, and"
            " CUDA_VISIBLE_DEVICES to those of one kind by their numbers in nvidia-smi."
        )


@cache
def outline_of(model: str, weights: str) -> Outline:
    """Shape and tokenizer of what ``load`` gives, without its weights."""
    return load_outline(model, cast(Kind, weights))


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
    tokenizer = outline_of(model, weights).tokenizer
    lines = [json.loads(line) for line in gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()]
    ids = tuple(tuple(tokenizer.encode(line["text"])) for line in lines)
    return Prompts(ids, tuple(str(line["kind"]) for line in lines))
