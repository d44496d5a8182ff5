"""RMSNorm with the residual sum, and SwiGLU's product: one pass over each row."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

COLUMNS = 1024


@triton.jit
def _norm(x, weight, out, hidden, eps, WIDTH: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, WIDTH)
    inside = column < hidden
    value = tl.load(x + row * hidden + column, inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / hidden + eps)
    normed = value * scale * tl.load(weight + column, inside, 0.0).to(tl.float32)
    tl.store(out + row * hidden + column, normed.to(out.dtype.element_ty), inside)


@triton.jit
def _add_norm(x, delta, weight, out, hidden, eps, WIDTH: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, WIDTH)
    inside = column < hidden
    at = row * hidden + column
    total = tl.load(x + at, inside, 0.0).to(tl.float32) + tl.load(delta + at, inside, 0.0).to(tl.float32)
    kept = total.to(x.dtype.element_ty)
    tl.store(x + at, kept, inside)
    value = kept.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / hidden + eps)
    normed = value * scale * tl.load(weight + column, inside, 0.0).to(tl.float32)
    tl.store(out + at, normed.to(out.dtype.element_ty), inside)


@triton.jit
def _silu_mul(gate_up, out, width, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < width
    gate = tl.load(gate_up + row * 2 * width + column, inside, 0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + column, inside, 0.0).to(tl.float32)
    tl.store(out + row * width + column, (gate / (1.0 + tl.exp(-gate)) * up).to(out.dtype.element_ty), inside)


class TritonOps:
    """``ReferenceOps`` in one kernel each, computed in float32. Rows are contiguous; ``add_norm`` overwrites x."""

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        out, hidden = x.new_empty(x.shape), x.shape[-1]
        _norm[(x.shape[0],)](x, weight, out, hidden, eps, WIDTH=triton.next_power_of_2(hidden), num_warps=_warps(hidden))
        return out

    def add_norm(self, x: Tensor, delta: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        out, hidden = x.new_empty(x.shape), x.shape[-1]
        width = triton.next_power_of_2(hidden)
        _add_norm[(x.shape[0],)](x, delta, weight, out, hidden, eps, WIDTH=width, num_warps=_warps(hidden))
        return x, out

    def silu_mul(self, gate_up: Tensor) -> Tensor:
        rows, width = gate_up.shape[0], gate_up.shape[1] // 2
        out = gate_up.new_empty(rows, width)
        _silu_mul[(rows, triton.cdiv(width, COLUMNS))](gate_up, out, width, COLUMNS=COLUMNS)
        return out


def _warps(hidden: int) -> int:
    return 8 if hidden > 2048 else 4
