"""How long each step of the container's life takes, and how large it gets: python -m benchmarks.containers --base IMAGE.

Builds without the cache of earlier builds, starts, runs, stops and cleans up, so the engine must hold nothing of the kit.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from engine.errors import InputError
from hosting import living
from hosting.engines import connect

ROOT = Path(__file__).parents[1]
QUICK = ("run", "fig8", "--quick", "--results", "results/containers")
TINY = ("run", "fig8", "--model", "tiny", "--backend", "native", "--quick", "--results", "results/containers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("rest", nargs="*", help="options of build, after --")
    chosen = parser.parse_args()
    try:
        if living.things(connect()):
            raise InputError("the engine holds things of the kit; `cli.py cleanup` first.")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    shutil.rmtree(ROOT / "results" / "containers", ignore_errors=True)
    build = ("build", "--target", chosen.target, *chosen.rest)
    print("| step | command | seconds |\n|---|---|---|", flush=True)
    total = sum(
        (
            _step("look", "doctor"),
            _step("build, nothing cached", *build, "--no-cache"),
            _step("start", "start", "--target", chosen.target, "--gpus", "none"),
            _step("Figure 8, simulated, --quick", *QUICK),
        )
    )
    _step("build again", *build)
    _step("Figure 8, real tokens, --quick", *TINY)
    _step("status", "status")
    _step("stop", "stop")
    sizes = [(thing.name, thing.bytes) for thing in living.things(connect()) if thing.kind == living.IMAGE]
    total += _step("cleanup", "cleanup", "--yes")
    print(f"| doctor, build, start, run, cleanup | | {total:.1f} |")
    for name, size in sizes:
        print(f"{name}: {(size or 0) / 1e9:.2f} GB")
    return 0


def _step(name: str, *words: str) -> float:
    """Runs a command of the kit, prints its row, returns its seconds."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "cli.py", *words], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"cli.py {' '.join(words)} failed: {done.stderr}")
    print(f"| {name} | `cli.py {words[0]}` | {seconds:.1f} |", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
