"""How long the parts of a step take on this machine.

A time is the quarter point of its repeats: what else runs on the machine can only make a step longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.batch import Batch
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.plan import DECODE, Chunk, DraftShape, StepPlan, TokenTrees
from engine.request import Request
from exps.figures.figure import Execution
from exps.run.native.executors import executor_on, free_tokens
from exps.run.native.models import load, load_prompts, outline_of
from hosting.device import Device
from hosting.machine import memory_bytes

ENDLESS = 10**9
TRIED_TOKENS, TRIED_PREFILL = 65_536, 1900
MOST_SEQUENCES, MOST_DRAFTS = 512, 32


class Bench:
    """An executor with rows to step; times are in seconds, of ``repeats``."""

    def __init__(self, model: str, weights: str, device: Device, execution: Execution, kv_tokens: int, repeats: int):
        self.loaded, self._prompts = load(model, weights, device), load_prompts(model, weights)
        self.pair, self.config = self.loaded.pair, outline_of(model, weights).config
        self._device, self._execution, self._kv_tokens, self.repeats = device, execution, kv_tokens, repeats

    def free_kv_tokens(self) -> int:
        """Tokens of KV cache that fit every GPU beside the weights, the graphs, a prefill, and the drafts of as many sequences
        as any system runs.

        Each rank says what is free on its GPU with a cache of ``TRIED_TOKENS`` there; the one with the least room decides. A
        token takes more on rank 0, which holds the draft and its cache too.
        """
        drafts, tried = self.pair.draft is not None, Capacity(TRIED_TOKENS, MOST_SEQUENCES, MOST_DRAFTS)
        executor = executor_on(self._device, self._execution, self.loaded, drafts, tried)
        executor.warm_up(MOST_SEQUENCES)
        executor.forward(StepPlan(prefill=[Chunk(self._request(0, TRIED_PREFILL), 0, TRIED_PREFILL)]), Batch())
        return TRIED_TOKENS + free_tokens(self.loaded, drafts)

    def decode_s(self, rows: int, context: int) -> float:
        """A decode step of ``rows`` sequences that hold ``context`` tokens on average."""
        executor = self._executor(rows)
        batch = self._rows(executor, rows, context)
        return typical(self._decode(executor, batch) for _ in range(self.repeats + 2))

    def speculate_s(self, rows: int, context: int, shape: DraftShape) -> tuple[float, float]:
        """Drafting whole beams for ``rows`` sequences, catching up with the accepted tokens included, and verifying them.

        Where drafts stay on the device, verifying is what a step takes beyond drafting again.
        """
        executor, drafting, verifying = self._executor(rows, shape), [], []
        batch = self._rows(executor, rows, context)
        whole = replace(shape, whole=True, max_tokens=rows * (1 + shape.depth * shape.width))
        for _ in range(self.repeats + 2):
            begin = time.perf_counter()
            candidates = executor.draft(batch, shape)
            drafted = time.perf_counter()
            drafting.append(drafted - begin)
            plan, again_s = StepPlan(decode=True, draft=whole), 0.0
            if executor.stays_on_device(batch.requests, whole, None):
                executor.draft(batch, shape)
                again_s, drafted = time.perf_counter() - drafted, time.perf_counter()
                executor.draft_and_select(batch, whole, None)
            else:
                plan.trees = TokenTrees(candidates, candidates.probability > 0)
            accepted = executor.forward(plan, batch).accepted
            verifying.append(time.perf_counter() - drafted - again_s)
            assert accepted is not None
            batch.advance_by(accepted, np.zeros(rows, np.int64))
        return typical(drafting[1:]), typical(verifying[1:])

    def prefill_s(self, tokens: int) -> float:
        """A prompt of ``tokens`` tokens in one chunk."""
        executor, times = self._executor(1), []
        for number in range(max(3, self.repeats // 2)):
            request = self._request(number, tokens)
            times.append(executor.forward(StepPlan(prefill=[Chunk(request, 0, tokens)]), Batch()).elapsed_s)
            executor.release(request)
        return typical(times)

    def draft_prefill_s(self, tokens: int) -> float:
        """The draft's catching up with one prompt of ``tokens`` tokens, beyond what drafting takes anyway."""
        times, shape = [], DraftShape(1, 1, 2)
        executor = self._executor(1, shape)
        for _ in range(max(5, self.repeats // 3)):
            batch = self._rows(executor, 1, tokens)
            begin = time.perf_counter()
            executor.draft(batch, shape)
            times.append(time.perf_counter() - begin)
            executor.release(batch.requests[0])
        return max(0.0, typical(times) - self.speculate_s(1, 1, shape)[0])

    def _executor(self, rows: int, shape: DraftShape | None = None) -> NativeExecutor:
        """For so many sequences, which draft where there is a shape."""
        ahead = self._device.gpus > 0 and self._execution.overlap
        capacity = Capacity(self._kv_tokens, rows, shape.depth * shape.width if shape else int(ahead))
        return executor_on(self._device, self._execution, self.loaded, shape is not None, capacity)

    def _request(self, number: int, tokens: int) -> Request:
        longest = max(self._prompts.ids, key=len)
        ids = (longest * -(-tokens // len(longest)))[:tokens]
        return Request(number, "bench", tokens, ENDLESS, 0.0, prompt_ids=ids)

    def _rows(self, executor: NativeExecutor, rows: int, context: int) -> Batch:
        """``rows`` sequences whose contexts spread evenly from a tenth of ``context`` to as far above it."""
        batch = Batch()
        for number, share in enumerate(np.linspace(0.1, 1.9, rows) if rows > 1 else [1.0]):
            tokens = max(1, round(share * context))
            request = self._request(number, tokens)
            executor.forward(StepPlan(prefill=[Chunk(request, 0, tokens)]), Batch())
            request.prefilled, request.produced, request.first_token_s = tokens, 1, 0.0
            batch.add(request)
        return batch

    @staticmethod
    def _decode(executor: NativeExecutor, batch: Batch) -> float:
        elapsed = executor.forward(DECODE, batch).elapsed_s
        batch.advance()
        return elapsed


def typical(times: Iterable[float]) -> float:
    """The quarter point of some times."""
    return float(np.quantile(list(times), 0.25))


def slope(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope of the straight line through the points, neither below 0."""
    rise, start = np.polyfit(xs, ys, 1)
    return max(float(start), 0.0), max(float(rise), 0.0)


def bandwidth_bytes_per_s(device: Device) -> float:
    """Bytes read a second by a sum over more than any cache holds."""
    values = torch.ones(1 << (30 if device.gpus else 26), device=_torch_device(device))
    return values.nbytes / typical(_seconds(values.sum) for _ in range(7))


def flops_per_s(device: Device) -> float:
    """Operations a second of a square matrix product in the device's dtype, of 1024 rows, on a GPU of 8192."""
    rows, dtype = 8192 if device.gpus else 1024, getattr(torch, device.dtype)
    a, b = (torch.randn(rows, rows, dtype=dtype, device=_torch_device(device)) for _ in range(2))
    return float(2 * rows**3 / typical(_seconds(lambda: a @ b) for _ in range(15)))


def launch_s(device: Device) -> float:
    """Seconds of the smallest tensor operation."""
    one = torch.ones(1, device=_torch_device(device))
    return typical(_seconds(lambda: one + one) for _ in range(1001))


def memory_bytes_of(device: Device) -> float:
    """Of one GPU, or of the machine."""
    return float(torch.cuda.mem_get_info()[1] if device.gpus else memory_bytes() or 0)


def _torch_device(device: Device) -> str:
    return "cuda" if device.gpus else "cpu"


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return time.perf_counter() - begin
