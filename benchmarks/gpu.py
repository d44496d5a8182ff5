"""The native engine on one GPU: what the card can do, the kernels beside it, and steps of the whole engine.

    python -m benchmarks.gpu --out benchmarks/results/h100.json

Random weights in Llama-3.1-8B's shape, bfloat16. ``card``: read bandwidth and matrix rate. ``attention``: one layer's
attention beside the bytes that it must read. ``decode``: a step of the whole engine, host included, at a context of 512
tokens, beside the bytes of weights and cache. ``offline``: tokens a second of a load that is all there at once.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.model_runner import ModelRunner
from engine.kernels import metadata
from engine.kernels.attention import kernels_named
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.kernels.rotary import Rotary
from engine.kernels.triton import attention as attention_kernel
from engine.kv_cache import BlockPool
from engine.models.decoder import Decoder
from engine.models.pair import TINY, load_pair
from engine.models.weights import fresh_weights
from engine.models.widened import SHAPES
from engine.request import Request
from engine.sampling import Sampling
from engine.system import parse_system

CONTEXT, PAGE, BATCHES = 512, 16, (1, 8, 32, 64, 128, 256)
SHAPE = replace(SHAPES["llama-3.1-8b"], context=4096)
VERIFICATIONS = ((32, 16, 1024), (8, 64, 1024), (64, 8, 1024), (32, 1, 1024), (1, 1, 512), (256, 1, 512))
OFFLINE = ((256, 512, 256), (512, 1024, 128))


class Silent:
    """An observer that remembers nothing."""

    def request_done(self, request: Request) -> None: ...

    def step_done(self, *arguments: object) -> None: ...


def seconds(run: Callable[[], object], repeats: int = 20) -> float:
    """Median seconds of a call by device events, after three to warm up."""
    found = []
    for _ in range(repeats + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return median(found[3:])


def card() -> dict[str, Any]:
    """Name, read bandwidth and bfloat16 matrix rate."""
    x = torch.empty(1 << 31, dtype=torch.float32, device="cuda").normal_()
    read = x.numel() * 4 / seconds(x.sum)
    del x
    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16).unbind(0)
    rate = 2 * 8192**3 / seconds(lambda: a @ b)
    return {"card": torch.cuda.get_device_name(), "read_TBps": read / 1e12, "matrix_TFLOPs": rate / 1e12}


def attention(kernel: str, sequences: int, new: int, context: int, read: float) -> dict[str, Any]:
    """One layer's attention of trees of ``new`` nodes, replayed as a graph over several caches, so that none is in L2."""
    tree = new if new > 1 else 0
    kernels, group = kernels_named(kernel), SHAPE.group
    whole = context + new
    blocks = -(-whole // PAGE)
    rng = np.random.default_rng(0)
    tables = (rng.permutation(sequences * blocks) + 1).reshape(sequences, blocks)
    at = context + np.arange(new)
    slots = (tables[:, at // PAGE] * PAGE + at % PAGE).ravel()
    mask = np.zeros((sequences * new, bool(tree) * (new // 64 + 1)), np.int64)
    for place in range(new * bool(tree)):
        mask[place::new, place // 64] |= np.int64(1) << (place % 64)
        mask[place::new, 0] |= 1
    lens = np.array([[context] * sequences, [whole] * sequences, [whole - tree] * sequences])
    size, counts = tile_size(new, group), np.full(sequences, new)
    arrays = {"slot_mapping": slots, "block_tables": tables, "tree_mask": mask, "lens": lens,
              "starts": np.arange(sequences) * new, "tiles": tiles_of(counts, size)}
    on = {name: torch.from_numpy(np.ascontiguousarray(array)).cuda() for name, array in arrays.items()}
    seen_by = AttentionMetadata(**on, tile_queries=size, lens_cpu=lens)
    kv = PagedKV(SHAPE, sequences * blocks + 1, PAGE, torch.bfloat16, torch.device("cuda"))
    kv.data.normal_()
    tokens, h = sequences * new, SHAPE.head_size
    cos, sin = (torch.randn(tokens, 1, h, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    stacked = torch.randn(tokens, SHAPE.heads + 2 * SHAPE.kv_heads, h, device="cuda", dtype=torch.bfloat16)
    rotary, layers = Rotary(cos, sin, SHAPE.heads, SHAPE.kv_heads), SHAPE.layers
    forward = kernels.attention(kv, seen_by)

    def run() -> None:
        for layer in range(layers):
            forward(layer, stacked, rotary)

    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    took = seconds(graph.replay) / layers
    alone = took - seconds(_keeping(kv, seen_by, stacked, rotary)) / layers
    moved = 2 * (sequences * whole * 2 * SHAPE.kv_heads * h + tokens * (SHAPE.heads * 4 + 2 * SHAPE.kv_heads) * h)
    return {"kernel": kernel, "sequences": sequences, "new": new, "context": context, "us": took * 1e6,
            "alone_us": alone * 1e6,            "floor_us": moved / read * 1e6, "over_floor": took * read / moved}


def _keeping(
    kv: PagedKV, seen_by: AttentionMetadata, stacked: torch.Tensor, rotary: Rotary
) -> Callable[[], None]:
    """What turns queries and keys and keeps keys and values of all layers, replayed as a graph."""
    forward = attention_kernel.TritonAttention(kv, seen_by)

    def run() -> None:
        for layer in range(SHAPE.layers):
            forward.turn_and_keep(layer, stacked, rotary)

    run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def flashinfer(sequences: int, new: int, context: int) -> dict[str, Any]:
    """FlashInfer's attention of the same shape, where it is installed: with a tree mask and without, replayed as a graph."""
    import flashinfer as peer

    whole, heads, kv_heads, h = context + new, SHAPE.heads, SHAPE.kv_heads, SHAPE.head_size
    blocks, space = -(-whole // PAGE), torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    pages = torch.randn(sequences * blocks, 2, PAGE, kv_heads, h, device="cuda", dtype=torch.bfloat16)
    q = torch.randn(sequences * new, heads, h, device="cuda", dtype=torch.bfloat16)
    bounds = torch.arange(sequences + 1, dtype=torch.int32, device="cuda")
    table = torch.randperm(sequences * blocks, device="cuda").int()
    last = torch.full((sequences,), (whole - 1) % PAGE + 1, dtype=torch.int32, device="cuda")
    kind = {"num_qo_heads": heads, "num_kv_heads": kv_heads, "page_size": PAGE, "q_data_type": torch.bfloat16}
    found: dict[str, Any] = {"sequences": sequences, "new": new, "context": context}
    for masked in (False, True)[: 2 if new > 1 else 1]:
        if new == 1:
            wrapper = peer.BatchDecodeWithPagedKVCacheWrapper(space, "NHD", use_tensor_cores=True)
            wrapper.plan(bounds * blocks, table, last, head_dim=h, **kind)
        else:
            wrapper, mask = peer.BatchPrefillWithPagedKVCacheWrapper(space, "NHD", backend="fa2"), None
            if masked:
                mask = torch.ones(sequences, new, whole, dtype=torch.bool, device="cuda")
                mask[:, :, context:] = torch.ones(new, new, device="cuda").tril().bool()
                mask = mask.flatten()
            seen = {"causal": not masked, "custom_mask": mask}
            wrapper.plan(bounds * new, bounds * blocks, table, last, head_dim_qk=h, **seen, **kind)
        wrapper.run(q, pages)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(SHAPE.layers):
                wrapper.run(q, pages)
        found["tree_mask_us" if masked else "us"] = seconds(graph.replay) / SHAPE.layers * 1e6
    return found


def tune(read: float) -> list[dict[str, Any]]:
    """The attention of every shape under several launches, fastest first."""
    found = []
    chosen = attention_kernel.launch_for
    for sequences, new, context in VERIFICATIONS:
        for rows, tokens, warps, stages, parts in product((64, 128), (32, 64, 128), (4, 8), (2, 3), (1, 2, 4)):
            if (new < 16 and rows == 128) or ((rows, warps) == (64, 8) and new == 1):
                continue
            metadata.MOST_ROWS = rows

            def launch(*shape: int, tokens=tokens, warps=warps, stages=stages, parts=parts) -> attention_kernel.Launch:
                return replace(chosen(*shape), tokens=tokens, warps=warps, stages=stages, parts=parts)

            attention_kernel.launch_for = launch
            try:
                row = attention("triton", sequences, new, context, read)
            except Exception as error:
                row = {"us": 9e9, "error": type(error).__name__}
            found.append({**row, "rows": rows, "tokens": tokens, "warps": warps, "stages": stages, "parts": parts})
        same = (row for row in found if (row.get("sequences"), row.get("new")) == (sequences, new))
        for row in sorted(same, key=lambda row: row["us"])[:3]:
            print("tune", {key: value for key, value in row.items() if key not in ("kernel", "floor_us")}, flush=True)
    attention_kernel.launch_for = chosen
    return found


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


def adaserve(n: int, steps: int = 40) -> dict[str, Any]:
    """A step of AdaServe for ``n`` requests: the tiny pair's function in the shapes of 8B and 1B, which accepts drafts.

    Its parts end when the host has their outcome. ``gaps_pct``: how much of a step the device computes nothing.
    """
    pair = load_pair("llama-3.1-8b", dtype=torch.bfloat16, device="cuda", weights="widened")
    engine = an_engine(pair.target, pair.draft, "adaserve", n * (CONTEXT + 1024))
    prompts = [json.loads(line)["text"] for line in gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()]
    texts = [pair.tokenizer.encode(text) for text in prompts]
    for i in range(n):
        ids = (texts[i % len(texts)] * CONTEXT)[:CONTEXT]
        engine.submit(Request(i, "a", CONTEXT, 900, 0.0, slo_tpot_s=0.05, prompt_ids=ids, sampling=Sampling(ignore_stop=True)))
    while len(engine.running.batch) < n:
        engine.step()
    for _ in range(12):
        engine.step()
    begin, took = int(engine.running.batch.generated().sum()), []
    parts = {"draft": timed(engine.executor, "draft"), "verify": timed(engine.executor, "forward")}
    parts["select"] = timed(engine.speculation, "select")
    for _ in range(steps):
        start = time.perf_counter()
        engine.step()
        took.append(time.perf_counter() - start)
    tokens = int(engine.running.batch.generated().sum()) - begin
    found = {f"{name}_ms": median(times) * 1e3 for name, times in parts.items()}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        start = time.perf_counter()
        for _ in range(10):
            engine.step()
        whole = time.perf_counter() - start
    busy, kernels = longest(seen, 10)
    return {"batch": n, "ms": median(took) * 1e3, **found, "tokens_per_request": tokens / n / steps,
            "gaps_pct": 100 * (1 - busy / whole / 1e5), "kernels_ms": busy / 1e3, **kernels}


def timed(thing: Any, name: str) -> list[float]:
    """Seconds of each call of a method from now on."""
    times, method = [], getattr(thing, name)

    def call(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return method(*arguments)
        finally:
            times.append(time.perf_counter() - start)

    setattr(thing, name, call)
    return times


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--parts", default="attention,decode,eager,offline")
    asked_for = parser.parse_args()
    parts, found = asked_for.parts.split(","), card()
    read = found["read_TBps"] * 1e12
    print(json.dumps(found), flush=True)

    def note(part: str, row: dict[str, Any]) -> None:
        found.setdefault(part, []).append(row)
        print(part, {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
        if asked_for.out:
            asked_for.out.write_text(json.dumps(found, indent=1) + "\n")

    with torch.inference_mode():
        if "attention" in parts:
            for shape in VERIFICATIONS:
                note("attention", attention("triton", *shape, read))
        if "flashinfer" in parts:
            for shape in VERIFICATIONS:
                note("flashinfer", flashinfer(*shape))
        if "tune" in parts:
            found["tune"] = tune(read)
        target = Decoder(SHAPE, fresh_weights(SHAPE, 0, torch.bfloat16, device="cuda"))
        if "decode" in parts:
            for n in BATCHES:
                note("decode", decode(target, n, read, True))
        if "eager" in parts:
            for n in (1, 32):
                note("decode", decode(target, n, read, False))
        if "profile" in parts:
            for n in (1, 8, 64):
                note("profile", profile(target, n, read))
        if "offline" in parts:
            for load in OFFLINE:
                note("offline", offline(target, *load))
        if "verification" in parts:
            note("verification", verification(target, 32, 8))
            note("verification", verification(target, 16, 16))
        if "adaserve" in parts:
            del target
            for n in (8, 32):
                note("adaserve", adaserve(n))

if __name__ == "__main__":
    main()
