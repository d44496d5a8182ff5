"""One layer's attention beside the bytes that it must read, and beside FlashInfer's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.card import PAGE, SHAPE, seconds
from engine.kernels import metadata
from engine.kernels.attention import kernels_named
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of
from engine.kernels.paged_kv import PagedKV
from engine.kernels.rotary import Rotary
from engine.kernels.triton import attention as attention_kernel

VERIFICATIONS = ((32, 16, 1024), (8, 64, 1024), (64, 8, 1024), (32, 1, 1024), (1, 1, 512), (256, 1, 512))


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
