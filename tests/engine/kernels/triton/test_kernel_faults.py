"""What Triton refuses is told in a sentence, by the kernel's name."""

from __future__ import annotations

import pytest
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompilationError
from triton.runtime.jit import JITFunction

from engine.kernels.faults import kernel_fault


def _wrong(p, N: tl.constexpr):  # type: ignore[no-untyped-def] # noqa: N803
    tl.store(p, tl.dot(tl.load(p), N))


def test_a_kernel_that_does_not_compile_is_named() -> None:
    source = ASTSource(JITFunction(_wrong), {"p": "*fp32", "N": "constexpr"}, {(1,): 16})
    with pytest.raises(CompilationError) as caught:
        triton.compile(source, target=GPUTarget("cuda", 90, 32))
    said = str(kernel_fault(caught.value))
    assert said.startswith("the Triton kernel _wrong cannot run here (CompilationError: ") and "\n" not in said
    assert said.endswith("; choose --attention reference.")
