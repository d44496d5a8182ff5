"""Triton's kernels in its interpreter, which has to be chosen before Triton is imported; on a GPU they run as they are."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
if find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
