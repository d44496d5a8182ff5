"""Kernels for NVIDIA GPUs in Triton; in its interpreter they run on a CPU."""

from __future__ import annotations

from engine.kernels.attention import Kernels
from engine.kernels.triton.attention import TritonAttention
from engine.kernels.triton.beams import expand
from engine.kernels.triton.layers import TritonOps

KERNELS = Kernels(TritonAttention, TritonOps(), expand, capturable=True)
