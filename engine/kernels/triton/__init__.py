"""Kernels for NVIDIA GPUs in Triton; in its interpreter they run on a CPU."""

from __future__ import annotations

from engine.kernels.attention import Kernels
from engine.kernels.triton.attention import TritonAttention
from engine.kernels.triton.beams import expand
from engine.kernels.triton.layers import TritonOps
from engine.kernels.triton.trees import TritonTrees

KERNELS = Kernels(TritonAttention, TritonOps(), expand, TritonTrees(), capturable=True)
