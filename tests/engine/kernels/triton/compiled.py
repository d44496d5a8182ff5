"""Machine code of every kernel for an Ampere and a Hopper GPU, without one: registers and shared memory are printed.

    python -m tests.engine.kernels.triton.compiled
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from engine.kernels.triton import attention, beams, layers, trees

CAPABILITIES = (80, 90)
INTS = {"slots", "tables", "tiles", "starts", "lens", "mask"}
FLOATS = {"eps": "fp32", "scale": "fp32"}
HEAD, GROUP, PAGE = 128, 4, 16
MOST_SPILLED = 128
OLD = triton.__version__.startswith("3.2.")
SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024}


def variants() -> list[tuple[str, Any, dict[str, Any], dict[str, str], dict[str, int]]]:
    """Name, kernel, constants, pointers that are not bfloat16, and options of what an 8B model launches."""
    found = [
        ("norm", layers._norm, {"WIDTH": 4096}, {}, {"num_warps": 8}),
        ("add_norm", layers._add_norm, {"WIDTH": 4096}, {}, {"num_warps": 8}),
        ("silu_mul", layers._silu_mul, {"COLUMNS": layers.COLUMNS}, {}, {}),
        ("turn_and_keep", attention._turn_and_keep, {"HALF": HEAD // 2}, {}, {"num_warps": 1}),
        ("join", attention._join, {"HEAD": HEAD, "PARTS": 8}, {"parts": "*fp32", "lse": "*fp32"}, {"num_warps": 1}),
    ]
    floats, doubles = dict.fromkeys(("values", "most", "total"), "*fp32"), dict.fromkeys(("chance", "above", "paths"), "*fp64")
    ints = dict.fromkeys(("tokens", "ranked", "seen", "bits", "parents", "sees"), "*i64") | {"parts": "i32"}
    kinds, columns = floats | doubles | ints | {"logits": "*bf16"}, {"WIDTH": 3, "COLUMNS": beams.COLUMNS}
    found += [
        ("likeliest of a part", beams._likeliest_of_part, columns, kinds, {"num_warps": 8}),
        ("join of parts", beams._join_parts, {"WIDTH": 3, "PARTS": 32, "FOUND": 128}, kinds, {"num_warps": 1}),
        ("paths", beams._paths, {"WIDTH": 3, "WORDS": 1, "FOUND": 16}, kinds, {"num_warps": 1}),
    ]
    doubles, flags = dict.fromkeys(("paths", "need", "ranks", "pool"), "*fp64"), ("for_slo", "selected", "finite")
    names = (
        "order", "wanted", "granted", "parents", "drafted", "counts", "context", "root", "first", "number", "parent", "tokens",
        "positions", "best", "outcome",
    )
    kinds = doubles | dict.fromkeys(flags, "*i1") | dict.fromkeys(names, "*i64")
    most = {"REQUESTS": trees.MOST_REQUESTS}
    for size in (trees.FEWEST_NODES, 64):
        found += [
            (f"want of {size}", trees._want, {"SIZE": size}, kinds, {"num_warps": 1}),
            (f"grant of {size}", trees._grant, {"SIZE": size, **most}, kinds, {"num_warps": 1}),
            (f"spend of {size}", trees._spend, {"SIZE": size, **most, "BLOCK": 64}, kinds, {"num_warps": 4}),
            (f"lay out of {size}", trees._lay_out, {"SIZE": size, **most}, kinds, {"num_warps": 1}),
            (f"accept of {size}", trees._accept, {"SIZE": size}, kinds, {"num_warps": 1}),
        ]
    found.append(("compact", trees._compact, {"COLUMNS": trees.COLUMNS}, kinds, {"num_warps": 4}))
    for queries, tiles in ((1, 4), (1, 256), (4, 32), (16, 64)):
        launch = attention.launch_for(queries, tiles, GROUP, 8)
        constants = {"HEAD": HEAD, "GROUP": GROUP, "PAGE": PAGE, "QUERIES": launch.queries, "ROWS": launch.rows,
                     "TOKENS": launch.tokens, "PARTS": launch.parts, "TREES": queries > 1}
        kinds = {"lse": "*fp32"} | ({"out": "*fp32"} if launch.parts > 1 else {})
        options = {"num_warps": launch.warps, "num_stages": launch.stages}
        found.append((f"attend of {queries} in {launch.parts} parts", attention._attend, constants, kinds, options))
    return found


def compile_for(
    capability: int, kernel: Any, constants: dict[str, Any], kinds: dict[str, str], options: dict[str, int]
) -> Any:
    """The compiled kernel; integers are counts and strides, pointers are aligned as torch's are."""
    names = kernel.arg_names
    known = dict.fromkeys(constants, "constexpr") | kinds
    usual = dict.fromkeys(INTS, "*i64") | dict.fromkeys(POINTERS, "*bf16") | FLOATS
    signature = {name: known.get(name) or usual.get(name, "i32") for name in names}
    whole = POINTERS | {"cache_stride", "heads", "hidden", "width"}
    aligned = [place for place, name in enumerate(names) if name in whole]
    source = (_source_of_3_2 if OLD else _source)(kernel, signature, constants, aligned)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


def _source(kernel: Any, signature: dict[str, str], constants: dict[str, Any], aligned: list[int]) -> ASTSource:
    values = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    return ASTSource(kernel, signature, values, {(place,): [["tt.divisibility", 16]] for place in aligned})


def _source_of_3_2(kernel: Any, signature: dict[str, str], constants: dict[str, Any], aligned: list[int]) -> ASTSource:
    """In 3.2 constants go by name, and attributes are an object of their own."""
    from triton.backends.compiler import AttrsDescriptor

    divisible = AttrsDescriptor.from_dict({"arg_properties": {"tt.divisibility": aligned}, "cls": "AttrsDescriptor"})
    return ASTSource(kernel, signature, constants, divisible)


POINTERS = {"x", "delta", "weight", "out", "gate_up", "stacked", "cos", "sin", "q", "cache", "parts", "lse"}


def resources(code: bytes) -> dict[str, int]:
    """Registers, stack and local memory of a kernel, as cuobjdump, which comes with Triton, tells them."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", told)}


def main() -> None:
    for capability in CAPABILITIES:
        for name, *what in variants():
            compiled = compile_for(capability, *what)
            shared, used = compiled.metadata.shared, resources(compiled.asm["cubin"])
            assert shared <= SHARED_BYTES[capability], f"{name} asks for {shared} bytes of shared memory"
            assert used["STACK"] <= MOST_SPILLED, f"{name} spills registers: {used}"
            print(f"sm_{capability} {name}: {used['REG']} registers, {used['STACK']} bytes spilled, {shared} of shared memory")


if __name__ == "__main__":
    main()
