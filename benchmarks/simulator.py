"""Speed of the simulator on one core, all records kept, beside Vidur's as measured on a host of the same kind.

    python -m benchmarks.simulator [--largest 1000000]
    python -m benchmarks.simulator --against ../parent --rounds 3

Prints simulated requests and steps a second of processor time for fcfs and vtc at 256 prompt and 256 output tokens, how they
grow with requests and clients, the same at 2,000 output tokens and for AdaServe at 64 concurrent requests, and the peak memory
of the process.
With --against, each case also on a checkout of another commit, in turn, the best of so many rounds each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from engine.system import parse_system
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.timetable import timetable

ROOT = Path(__file__).resolve().parents[1]
SIXTY_FOUR = "adaserve,batch=sarathi(token_budget=1024,max_sequences=64)"
VIDUR = "Vidur on one core of such a host, metrics off: 13,800 steps/s, 490 requests/s"
SERVED_PER_S = {256: 1.72, 2000: 0.066}
"""Requests a second that the A10G serves, of 256 prompt tokens and so many output tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000, help="most requests to try")
    parser.add_argument("--against", type=Path, help="a checkout of another commit")
    parser.add_argument("--rounds", type=int, default=1, help="how often each case is measured")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return
    print(f"Python {platform.python_version()}, one core; {VIDUR}")
    heads = ("requests/s", "steps/s", "peak MiB", *(("theirs", "peak MiB", "ratio") if arguments.against else ()))
    print(f"{'system':10} {'requests':>9} {'clients':>8} {'output':>7} {'load':>5} {''.join(f'{head:>11}' for head in heads)}")
    for case in cases(arguments.largest):
        ours, theirs = {}, {}
        for _ in range(arguments.rounds):
            ours = better(ours, in_own_process(case, ROOT))
            if arguments.against:
                theirs = better(theirs, in_own_process(case, arguments.against))
        print("".join(row(ours, theirs)), flush=True)


def row(ours: dict[str, float], theirs: dict[str, float]) -> Iterator[str]:
    """A line of the table."""
    yield f"{ours['system']:10} {ours['requests']:>9,} {ours['clients']:>8,} {ours['output']:>7,} {ours['load']:>5} "
    yield f"{ours['requests_per_s']:>11,.0f}{ours['steps_per_s']:>11,.0f}{ours['peak_mib']:>11,.0f}"
    if theirs:
        ratio = ours["requests_per_s"] / theirs["requests_per_s"]
        yield f"{theirs['requests_per_s']:>11,.0f}{theirs['peak_mib']:>11,.0f}{ratio:>10.1f}x"


def better(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The faster of two measurements."""
    return other if not one or other["requests_per_s"] > one["requests_per_s"] else one


def cases(largest: int) -> list[dict[str, object]]:
    """What is measured: growth with requests, with clients, a standing backlog, long answers, and AdaServe."""
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest]
    growth = [{"system": system, "requests": size, "clients": 2} for system in ("fcfs", "vtc") for size in sizes]
    middle = min(100_000, largest)
    clients = [{"system": "vtc", "requests": middle, "clients": count} for count in (10, 100, 1_000, 10_000)]
    backlog = [{"system": "vtc", "requests": size, "clients": 100, "load": 2.0} for size in sizes[-1:]]
    long = [{"system": system, "requests": 1_000, "clients": 2, "output": 2_000} for system in ("fcfs", "vtc")]
    return [*growth, *clients, *backlog, *long, {"system": "adaserve", "requests": 3_000, "clients": 2}]


def in_own_process(case: dict[str, object], checkout: Path) -> dict[str, float]:
    """Measure with the code of a checkout in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--one", json.dumps(case)]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(checkout.resolve())}
    )
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def measure(system: str, requests: int, clients: int, load: float = 0.98, output: int = 256) -> dict[str, object]:
    """Simulate once, after a warm-up. ``load``: offered requests over what the A10G serves (``SERVED_PER_S``)."""
    if system == "adaserve":
        setup = Setup(parse_system(SIXTY_FOUR), "llama-3.1-70b", "4xa100-80g", "first-principles")
        work = requests_at(requests, clients, 1e6, output)
    else:
        setup = Setup(parse_system(system), "llama-2-7b", "a10g", "session-2024")
        work = requests_at(requests, clients, load * SERVED_PER_S[output], output)
    simulate(work.head(200), setup)
    start = time.process_time()
    outcome = simulate(work, setup)
    elapsed = time.process_time() - start
    assert (outcome.requests["status"] == "finished").all()
    return {
        "system": system,
        "requests": requests,
        "clients": clients,
        "output": output,
        "load": "64" if system == "adaserve" else f"{load:.2f}",
        "requests_per_s": requests / elapsed,
        "steps_per_s": outcome.facts["steps"] / elapsed,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def requests_at(count: int, clients: int, rate: float, output: int = 256) -> pl.DataFrame:
    """Requests of 256 prompt and ``output`` output tokens, Poisson at ``rate`` a second, clients drawn evenly."""
    rng = np.random.default_rng(0)
    return timetable(
        {
            "arrival_s": np.cumsum(rng.exponential(1 / rate, count)),
            "client": pl.Series(rng.integers(0, clients, count)).cast(pl.String),
            "prompt_tokens": np.full(count, 256),
            "output_tokens": np.full(count, output),
            "slo_tpot_s": np.full(count, 0.05),
        }
    )


if __name__ == "__main__":
    main()
