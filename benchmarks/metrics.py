"""Seconds that the metrics of `simulate` take: python -m benchmarks.metrics [--requests 1000000] [--clients 100000]."""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl

from exps.metrics.fairness import fairness
from exps.metrics.requests import summarize, summarize_by_client
from exps.metrics.starvation import starvation_s

METRICS = (summarize, summarize_by_client, starvation_s, fairness)


def records(requests: int, clients: int) -> pl.DataFrame:
    """Finished requests of random clients, ten a second."""
    rng = np.random.default_rng(0)
    arrival = np.sort(rng.uniform(0, requests / 10, requests))
    admitted = arrival + rng.exponential(5, requests)
    output = rng.integers(1, 100, requests)
    first = admitted + rng.uniform(0.05, 0.5, requests)
    return pl.DataFrame(
        {"client": np.char.add("user", rng.integers(0, clients, requests).astype(str)), "prompt_tokens": output + 10,
         "output_tokens": output, "steps": output - 1, "arrival_s": arrival, "admitted_s": admitted,
         "first_token_s": first, "finished_s": first + 0.03 * (output - 1)}
    ).with_columns(
        status=pl.lit("finished"), preemptions=0, drafted_tokens=0, accepted_tokens=0,
        slo_s=pl.lit(None, pl.Float64), slo_tpot_s=pl.lit(None, pl.Float64),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=100_000)
    options = parser.parse_args()
    frame, whole = records(options.requests, options.clients), 0.0
    for metric in METRICS:
        started = time.perf_counter()
        metric(frame)
        taken = time.perf_counter() - started
        whole += taken
        print(f"{metric.__name__} {taken:.1f} s")
    print(f"all {whole:.1f} s")


if __name__ == "__main__":
    main()
