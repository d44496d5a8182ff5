"""Steps of the whole engine, host included, and loads that are all there at once."""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.card import CONTEXT, SHAPE
from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.kv_cache import BlockPool
from engine.models.decoder import Decoder
from engine.request import Request
from engine.sampling import Sampling
from engine.system import parse_system

BATCHES, OFFLINE = (1, 8, 32, 64, 128, 256), ((256, 512, 256), (512, 1024, 128))


class Silent:
    """An observer that remembers nothing."""

    def request_done(self, request: Request) -> None: ...

    def step_done(self, *arguments: object) -> None: ...


def an_engine(target: Decoder, draft: Decoder | None, system: str, kv_tokens: int, fast: bool = True) -> Engine:
    """``fast``: with graphs, and steps begun ahead. The memory of the engine before it comes back first."""
    gc.collect()
    torch.cuda.empty_cache()
    policies = parse_system(system).build({})
    capacity = Capacity.of(kv_tokens, policies, fast)
    executor = NativeExecutor(target, draft, capacity, kernel="triton", graphs=fast, ahead=fast)
    return Engine(policies, executor, BlockPool(kv_tokens, policies.batching.block_size), Silent())


def asked(id: int, prompt: int, output: int) -> Request:
    ids = ((np.arange(prompt) * 7 + abs(id)) % SHAPE.vocabulary).tolist()
    return Request(id, "a", prompt, output, 0.0, prompt_ids=ids, sampling=Sampling(ignore_stop=True))


def decoding(target: Decoder, n: int, graphs: bool, steps: int) -> Engine:
    """An engine in the middle of ``n`` answers, with its graphs captured."""
    engine = an_engine(target, None, "sarathi", n * (CONTEXT + steps + 160), graphs)
    for i in range(n):
        engine.submit(asked(i, CONTEXT, steps + 140))
    while len(engine.running.batch) < n:
        engine.step()
    for _ in range(8):
        engine.step()
    torch.cuda.synchronize()
    return engine


def decode(target: Decoder, n: int, read: float, graphs: bool, steps: int = 60) -> dict[str, Any]:
    """Milliseconds of a step of ``n`` decoding requests, of the whole engine."""
    engine, found = decoding(target, n, graphs, steps), []
    for _ in range(steps):
        start = time.perf_counter()
        engine.step()
        found.append(time.perf_counter() - start)
    weights = 2 * (SHAPE.parameters - SHAPE.vocabulary * SHAPE.hidden)
    floor = (weights + n * CONTEXT * SHAPE.layers * 4 * SHAPE.kv_heads * SHAPE.head_size) / read
    took = median(found)
    return {"batch": n, "graphs": graphs, "ms": took * 1e3, "floor_ms": floor * 1e3, "bandwidth_share": floor / took}


def profile(target: Decoder, n: int, read: float, steps: int = 10) -> dict[str, Any]:
    """Where a decode step of ``n`` requests goes: the kernels' microseconds a step, and what is outside of them."""
    engine = decoding(target, n, True, steps)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        start = time.perf_counter()
        for _ in range(steps):
            engine.step()
        took = (time.perf_counter() - start) / steps
    busy, kernels = longest(seen, steps)
    return {"batch": n, "wall_us": took * 1e6, "kernels_us": busy, **kernels}


def longest(seen: torch.profiler.profile, steps: int, count: int = 14) -> tuple[float, dict[str, float]]:
    """Microseconds a step of all kernels, and of those that take longest."""
    rows = sorted(((row.device_time_total / steps, row.count / steps, row.key) for row in seen.key_averages()), reverse=True)
    return sum(us for us, *_ in rows), {f"{name[:70]} x{often:g}": us for us, often, name in rows[:count]}


def offline(target: Decoder, n: int, prompt: int, output: int) -> dict[str, Any]:
    """Tokens a second, prompts included, of ``n`` requests that are all there."""
    engine = an_engine(target, None, "batch=sarathi(token_budget=8192,max_sequences=256)", 256 * (prompt + output + 32))
    executor = engine.executor
    assert isinstance(executor, NativeExecutor)
    begin = time.perf_counter()
    executor.warm_up(256)
    captured = time.perf_counter() - begin
    engine.run([asked(-1 - i, prompt, 16) for i in range(8)])
    start = time.perf_counter()
    engine.run([asked(i, prompt, output) for i in range(n)])
    took = time.perf_counter() - start
    return {"requests": n, "prompt": prompt, "output": output, "s": took,
            "tokens_per_s": n * (prompt + output) / took, "capture_s": captured}
