"""Beam expansion in three small kernels: parts of the vocabulary, their union, and the paths of each request."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

COLUMNS = 4096


@triton.jit
def _likeliest_of_part(logits, values, tokens, most, total, vocabulary, parts, WIDTH: tl.constexpr, COLUMNS: tl.constexpr):
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = part * COLUMNS + tl.arange(0, COLUMNS)
    x = tl.load(logits + row * vocabulary + column, column < vocabulary, float("-inf")).to(tl.float32)
    highest = tl.max(x, 0)
    at = row * parts + part
    tl.store(most + at, highest)
    tl.store(total + at, tl.sum(tl.exp(x - tl.where(highest == float("-inf"), 0.0, highest)), 0))
    for place in tl.static_range(WIDTH):
        best, where = tl.max(x, 0, return_indices=True)
        tl.store(values + at * WIDTH + place, best)
        tl.store(tokens + at * WIDTH + place, (part * COLUMNS + where).to(tl.int64))
        x = tl.where(tl.arange(0, COLUMNS) == where, float("-inf"), x)


@triton.jit
def _join_parts(values, tokens, most, total, ranked, chance, parts, WIDTH: tl.constexpr, PARTS: tl.constexpr,
                FOUND: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    part, found = tl.arange(0, PARTS), tl.arange(0, FOUND)
    highest = tl.load(most + row * parts + part, part < parts, float("-inf"))
    sums = tl.load(total + row * parts + part, part < parts, 0.0)
    top = tl.max(highest, 0)
    whole = tl.log(tl.sum(sums * tl.where(sums == 0.0, 0.0, tl.exp(highest - top)), 0)) + top
    x = tl.load(values + row * parts * WIDTH + found, found < parts * WIDTH, float("-inf"))
    for place in tl.static_range(WIDTH):
        best, where = tl.max(x, 0, return_indices=True)
        likely = tl.exp((best - whole).to(tl.float64))
        likely = tl.where(likely <= 2.0, likely, 0.0)
        tl.store(ranked + row * WIDTH + place, tl.load(tokens + row * parts * WIDTH + where))
        tl.store(chance + row * WIDTH + place, likely)
        x = tl.where(found == where, float("-inf"), x)


@triton.jit
def _paths(ranked, chance, above, seen, bits, paths, parents, tokens, sees, parents_each, WIDTH: tl.constexpr,
           WORDS: tl.constexpr, FOUND: tl.constexpr):
    request = tl.program_id(0).to(tl.int64)
    child = tl.arange(0, FOUND)
    parent, inside = child // WIDTH, child < parents_each * WIDTH
    first = request * parents_each
    likely = tl.load(chance + first * WIDTH + child, inside, 0.0)
    shared = tl.zeros([FOUND], tl.float64)
    for place in tl.static_range(WIDTH):
        shared += tl.load(chance + (first + parent) * WIDTH + place, inside, 0.0)
    x = tl.load(above + first + parent, inside, 0.0) * (likely / tl.maximum(shared, 1.0))
    x = tl.where(inside, x, -1.0)
    for place in tl.static_range(WIDTH):
        best, where = tl.max(x, 0, return_indices=True)
        at = request * WIDTH + place
        tl.store(paths + at, best)
        tl.store(parents + at, (where // WIDTH).to(tl.int64))
        tl.store(tokens + at, tl.load(ranked + first * WIDTH + where))
        for word in tl.static_range(WORDS):
            inherited = tl.load(seen + (request * WIDTH + where // WIDTH) * WORDS + word)
            tl.store(sees + at * WORDS + word, inherited | tl.load(bits + place * WORDS + word))
        x = tl.where(child == where, -1.0, x)


def expand(logits: Tensor, above: Tensor, seen: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``Expand`` (engine.kernels.beams), in float32 up to the probabilities."""
    rows, vocabulary = logits.shape
    n, width, words = seen.shape
    parts = triton.cdiv(vocabulary, COLUMNS)
    found = logits.new_empty(rows * parts, width, dtype=torch.float32)
    most, total = logits.new_empty(2, rows * parts, dtype=torch.float32)
    at = logits.new_empty(rows * parts, width, dtype=torch.int64)
    _likeliest_of_part[(rows, parts)](
        logits, found, at, most, total, vocabulary, parts, WIDTH=width, COLUMNS=COLUMNS, num_warps=8
    )
    ranked, chance = logits.new_empty(rows, width, dtype=torch.int64), above.new_empty(rows, width)
    _join_parts[(rows,)](
        found, at, most, total, ranked, chance, parts, WIDTH=width, PARTS=triton.next_power_of_2(parts),
        FOUND=triton.next_power_of_2(parts * width), num_warps=1,
    )
    paths, (parents, tokens), sees = above.new_empty(n, width), seen.new_empty(2, n, width), torch.empty_like(seen)
    _paths[(n,)](
        ranked, chance, above.contiguous(), seen, bits, paths, parents, tokens, sees, rows // n, WIDTH=width, WORDS=words,
        FOUND=triton.next_power_of_2(rows // n * width), num_warps=1,
    )
    return paths, parents, tokens, sees
