"""Speed of the simulator on one core, with all records kept.

    python -m benchmarks.simulator [--largest 1000000]

Prints simulated requests and steps a second for fcfs and vtc at 256/256 tokens, how they grow with requests and clients,
the same for AdaServe at 64 concurrent requests, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time

import numpy as np
import polars as pl

from engine.system import parse_system
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.timetable import timetable

SIXTY_FOUR = "adaserve,batch=sarathi(token_budget=1024,max_sequences=64)"
VIDUR = "Vidur on one core of such a host, metrics off: 13,800 steps/s, 490 requests/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000, help="most requests to try")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return
    print(f"Python {platform.python_version()}, one core; {VIDUR}")
    print(f"{'system':10} {'requests':>9} {'clients':>8} {'load':>6} {'requests/s':>11} {'steps/s':>10} {'peak MiB':>9}")
    for case in cases(arguments.largest):
        row = in_own_process(case)
        print(
            f"{row['system']:10} {row['requests']:>9,} {row['clients']:>8,} {row['load']:>6} {row['requests_per_s']:>11,.0f}"
            f" {row['steps_per_s']:>10,.0f} {row['peak_mib']:>9,.0f}",
            flush=True,
        )


def cases(largest: int) -> list[dict[str, object]]:
    """What is measured: growth with requests, with clients, a standing backlog, and AdaServe."""
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest]
    growth = [{"system": system, "requests": size, "clients": 2} for system in ("fcfs", "vtc") for size in sizes]
    middle = min(100_000, largest)
    clients = [{"system": "vtc", "requests": middle, "clients": count} for count in (10, 100, 1_000, 10_000)]
    backlog = [{"system": "vtc", "requests": size, "clients": 100, "load": 2.0} for size in sizes[-1:]]
    return [*growth, *clients, *backlog, {"system": "adaserve", "requests": 3_000, "clients": 2}]


def in_own_process(case: dict[str, object]) -> dict[str, float]:
    """Measure in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.simulator", "--one", json.dumps(case)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # type: ignore[no-any-return]


def measure(system: str, requests: int, clients: int, load: float = 0.98) -> dict[str, object]:
    """Simulate once, after a warm-up. ``load``: offered requests over what the A10G serves (1.72 requests/s)."""
    if system == "adaserve":
        setup = Setup(parse_system(SIXTY_FOUR), "llama-3.1-70b", "4xa100-80g", "first-principles")
        work = requests_at(requests, clients, 1e6)
    else:
        setup = Setup(parse_system(system), "llama-2-7b", "a10g", "session-2024")
        work = requests_at(requests, clients, load * 1.72)
    simulate(work.head(200), setup)
    start = time.perf_counter()
    outcome = simulate(work, setup)
    elapsed = time.perf_counter() - start
    assert (outcome.requests["status"] == "finished").all()
    return {
        "system": system,
        "requests": requests,
        "clients": clients,
        "load": "64" if system == "adaserve" else f"{load:.2f}",
        "requests_per_s": requests / elapsed,
        "steps_per_s": outcome.facts["steps"] / elapsed,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def requests_at(count: int, clients: int, rate: float) -> pl.DataFrame:
    """Requests of 256 prompt and 256 output tokens, Poisson at ``rate`` a second, clients drawn evenly."""
    rng = np.random.default_rng(0)
    return timetable(
        {
            "arrival_s": np.cumsum(rng.exponential(1 / rate, count)),
            "client": pl.Series(rng.integers(0, clients, count)).cast(pl.String),
            "prompt_tokens": np.full(count, 256),
            "output_tokens": np.full(count, 256),
            "slo_tpot_s": np.full(count, 0.05),
        }
    )


if __name__ == "__main__":
    main()
