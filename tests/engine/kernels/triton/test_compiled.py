"""Every kernel compiles for Ampere and Hopper without a GPU, within the shared memory and with few registers spilled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_machine_code_is_made_without_a_gpu() -> None:
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.engine.kernels.triton.compiled"]
    found = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    print(found.stdout)
    kernels = {line.split(":")[0].split(" ", 1)[1] for line in found.stdout.splitlines()}
    assert found.stdout.count("registers") == 2 * len(kernels)
    assert {"norm", "add_norm", "silu_mul", "turn_and_keep", "join", "likeliest of a part", "join of parts", "paths"} < kernels
