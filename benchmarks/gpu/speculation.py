"""Steps of AdaServe by their parts, and its verification beside a plain forward."""

from __future__ import annotations

import gzip
import json
import time
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.card import CONTEXT, PAGE, seconds
from benchmarks.gpu.steps import an_engine, longest
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.timing import HOST, DeviceTimes, NoTimes
from engine.models.decoder import Decoder
from engine.models.pair import TINY, load_pair
from engine.request import Request
from engine.sampling import Sampling


def adaserve(n: int, steps: int = 40) -> dict[str, Any]:
    """A step of AdaServe for ``n`` requests: the tiny pair's function in the shapes of 8B and 1B, which accepts drafts.

    ``parts_ms`` by device events, means over the steps; ``host``, whose share is ``gaps_pct``: it waits for the host.
    """
    pair = load_pair("llama-3.1-8b", dtype=torch.bfloat16, device="cuda", weights="widened")
    engine = an_engine(pair.target, pair.draft, "adaserve", n * (CONTEXT + 1024))
    executor = engine.executor
    assert isinstance(executor, NativeExecutor)
    executor.warm_up(n)
    prompts = [json.loads(line)["text"] for line in gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()]
    texts = [pair.tokenizer.encode(text) for text in prompts]
    for i in range(n):
        ids = (texts[i % len(texts)] * CONTEXT)[:CONTEXT]
        engine.submit(Request(i, "a", CONTEXT, 900, 0.0, slo_tpot_s=0.05, prompt_ids=ids, sampling=Sampling(ignore_stop=True)))
    while len(engine.running.batch) < n:
        engine.step()
    for _ in range(12):
        engine.step()
    begin, took, times = int(engine.running.batch.generated().sum()), [], DeviceTimes()
    executor.times = times
    times.mark(HOST)
    for _ in range(steps):
        start = time.perf_counter()
        engine.step()
        took.append(time.perf_counter() - start)
    tokens = int(engine.running.batch.generated().sum()) - begin
    parts, whole = times.read(), sum(took)
    found = {"parts_ms": {name: 1e3 * s / steps for name, s in parts.items()}, "gaps_pct": 100 * parts[HOST] / whole}
    executor.times = NoTimes()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        for _ in range(10):
            engine.step()
    busy, kernels = longest(seen, 10)
    return {"batch": n, "ms": median(took) * 1e3, **found, "tokens_per_request": tokens / n / steps,
            "kernels_ms": busy / 1e3, **kernels}


def verification(target: Decoder, n: int, nodes: int, steps: int = 20) -> dict[str, Any]:
    """A verification forward of ``n`` trees of ``nodes`` tokens, and one of as many tokens that see all before them."""
    runner, found = ModelRunner(target, n * 40 + 1, PAGE, "triton", graphs=True, longest=40), {}
    context, lens = np.full(n, CONTEXT), np.full(n, nodes)
    tables, at = np.arange(1, n * 40 + 1).reshape(n, 40), CONTEXT + np.arange(nodes)
    slots, tokens = (tables[:, at // PAGE] * PAGE + at % PAGE).ravel(), np.arange(n * nodes) % 4000
    mask = np.zeros((n * nodes, 1), np.int64)
    for place in range(nodes):
        mask[place::nodes, 0] |= (np.int64(1) << place) | 1
    for name, tree_lens, seen in (("trees", lens, mask), ("plain", 0 * lens, mask[:, :0])):
        step = ForwardInput(tokens, np.tile(at, n), slots, tables, context, lens, tree_lens, seen, np.arange(len(tokens)))
        found[f"{name}_ms"] = seconds(partial(runner.forward, step), steps) * 1e3
    del runner
    return {"requests": n, "nodes": nodes, **found, "ratio": found["trees_ms"] / found["plain_ms"]}
