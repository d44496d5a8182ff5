"""Seconds that HiGHS takes for dLoRA's program of two replicas, by requests: `python -m benchmarks.placement`."""

from __future__ import annotations

import time

import numpy as np

from engine.placement.ilp import solve
from engine.placement.pair import Pair

REQUESTS, ADAPTERS, REPEATS, NODES = (25, 50, 100, 200, 400, 800), 5, 5, 200


def pair(n: int, rng: np.random.Generator) -> Pair:
    """Most requests wait at the first of two replicas, for adapters of uneven popularity."""
    adapter = np.append(np.arange(ADAPTERS), np.minimum(rng.geometric(0.4, n - ADAPTERS) - 1, ADAPTERS - 1))
    source = np.append(np.arange(ADAPTERS) % 2, (rng.random(n - ADAPTERS) < 0.1).astype(np.int64))
    capacity = (len(np.unique(adapter[source == 0])), len(np.unique(adapter[source == 1])))
    return Pair(adapter, source, rng.integers(1, 100, n), rng.uniform(2, 8, ADAPTERS), capacity, (6000, 6000), 4096.0)


def main() -> None:
    """Print a line for each number of requests, and the seconds a request over all of them."""
    rng, total_s, total = np.random.default_rng(0), 0.0, 0
    for n in REQUESTS:
        pairs = [pair(n, rng) for _ in range(REPEATS)]
        begin = time.perf_counter()
        for one in pairs:
            solve(one, NODES)
        elapsed = time.perf_counter() - begin
        total_s, total = total_s + elapsed, total + n * REPEATS
        print(f"{n:4} requests: {1000 * elapsed / REPEATS:6.1f} ms a solve")
    print(f"{total_s / total:.1e} s a request")


if __name__ == "__main__":
    main()
