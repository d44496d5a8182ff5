"""What a person is told when a device fails, or its memory runs out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine.errors import DeviceError, RankError, RunError
from engine.executors.native.capacity import Capacity
from engine.models.decoder import Decoder
from exps.run.local import LOCAL
from exps.run.native.executors import SPARE, token_bytes
from exps.run.native.models import Loaded
from hosting.device import Device

ASKED = re.compile(r"Tried to allocate ([\d.]+) ([KMG]i)B")
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
CUDA_ERROR = "CUDA error"


class Faults:
    """Of a model that is loaded on a device. ``drafts``: its draft is served too. ``capacity``: what its KV caches hold, None
    before there are any."""

    def __init__(self, model: str, device: Device, loaded: Loaded, drafts: bool, capacity: Capacity | None = None):
        self._model, self._device, self._loaded, self._drafts = model, device, loaded, drafts
        self.capacity = capacity

    def explain(self, error: BaseException) -> RunError | None:
        """The error as a person is told of it; None for what is not about the device."""
        if isinstance(error, torch.OutOfMemoryError):
            return DeviceError(self._out_of_memory(error), final=self._loaded.ranks is not None)
        if isinstance(error, RankError) and error.memory:
            return DeviceError(self._out_of_memory(error, f" on rank {error.rank}"), final=True)
        if isinstance(error, RunError):
            return error
        if isinstance(error, RuntimeError) and (line := str(error).partition("\n")[0]).startswith(CUDA_ERROR):
            advice = "see what nvidia-smi says, and start the run again"
            return DeviceError(f"{self._device.title} failed ({line}); {advice}.", final=True)
        return None

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what happens inside as a person is told of it."""
        try:
            yield
        except Exception as error:
            if (failure := self.explain(error)) is None or failure is error:
                raise
            raise failure from error

    def _out_of_memory(self, error: BaseException, where: str = "") -> str:
        weights = _bytes(self._loaded.pair.target) + (_bytes(self._loaded.pair.draft) if self._drafts else 0)
        of = f"of the memory of {self._device.title} the weights of {self._model} take {_gb(weights)}"
        of += " on rank 0" if self._loaded.ranks is not None else ""
        name = next((platform.name for platform in LOCAL if platform.model == self._model), self._model)
        advice = f"end what else uses it, measure again with `cli.py profile --model {name}`"
        if self.capacity is None:
            return f"the memory ran out{where}: {of}, and what comes beside them does not fit; {advice}, or use more GPUs."
        tokens, rows = self.capacity.kv_tokens, self.capacity.max_sequences
        each = token_bytes(self._loaded, self._drafts)[0]
        cache = f"a KV cache of {tokens:,} tokens takes {_gb(tokens * each)}"
        fits = _tokens_less(error, tokens, each)
        room = f"has no room for a step of up to {rows} requests" + (f"; about {fits:,} tokens fit" if fits else "")
        return (
            f"the memory ran out{where}: {of}, {cache}, and what is left {room}; {advice}, or run fewer requests at once,"
            " as in --system batch=sarathi(max_sequences=64)."
        )


def _tokens_less(error: BaseException, tokens: int, each: int) -> int:
    """Tokens of KV cache that would have left room for what was asked for; 0 where that is not known, or none."""
    asked = ASKED.search(str(error))
    return max(0, tokens - int((1 + SPARE) * float(asked[1]) * UNITS[asked[2]]) // each) if asked else 0


def _bytes(decoder: Decoder | None) -> int:
    return 0 if decoder is None else sum(tensor.nbytes for tensor in decoder.weights.tensors())


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
