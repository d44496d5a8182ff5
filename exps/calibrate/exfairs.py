"""What ExFairS's artifact leaves open, settled on FCFS alone: how long the long prompts are, and how few seats cost nothing.

The artifact's comments state end-to-end latencies of about 17 s for short and 13 s for long prompts, beside the scenarios of
its last commit. Which strategy and which of these scenarios they were measured on is not said, so that all that have both
kinds of client count alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import polars as pl
from joblib import Parallel, delayed

from engine.system import parse_system
from exps.metrics.statuses import FINISHED
from exps.papers.exfairs.setup import BATCHING, BOUNDED_SEQUENCES, HARDWARE, MODEL, SEATS
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.exfairs import LONG, SCENARIOS, rounds_timetable

STATED_S = {"short": 17.0, "long": 13.0}
SCENARIOS_WITH_BOTH = ("dec-1", "dec-2", "dec-3")
MEDIANS = tuple(range(2000, 8001, 250))
TRIED_SEATS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96)
SEEDS, ROUNDS, NO_COST = 3, 6, 0.99

Report = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """FCFS on a scenario: mean end-to-end seconds of what was answered, by kind; shares of all; tokens answered."""

    latency_s: dict[str, float]
    short_missed: float
    gave_up: float
    tokens: int


def fit(report: Report) -> None:
    """Report the median length at which FCFS comes closest to the stated latencies, and the seats; both belong to code."""
    errors = {}
    for median in MEDIANS:
        runs = run_all(median, SEATS)
        means = {kind: sum(run.latency_s[kind] for run in runs) / len(runs) for kind in STATED_S}
        errors[median] = sum(abs(log(run.latency_s[kind] / stated)) for run in runs for kind, stated in STATED_S.items())
        missed, gave_up = (sum(getattr(run, name) for run in runs) / len(runs) for name in ("short_missed", "gave_up"))
        report(f"median {median}: short {means['short']:.1f} s, long {means['long']:.1f} s, {missed:.0%} of the short miss,"
               f" {gave_up:.0%} give up; error {errors[median]:.3f}")
    best = min(errors, key=errors.__getitem__)
    report(f"median {best}; exps/workload/exfairs.py has {LONG.median:g}")
    whole = sum(run.tokens for run in run_all(best, SEATS))
    shares = {seats: sum(run.tokens for run in run_all(best, seats)) / whole for seats in TRIED_SEATS}
    for seats, share in shares.items():
        report(f"{seats} seats: {share:.1%} of the tokens that {SEATS} seats answer")
    fewest = next(seats for seats, share in shares.items() if share >= NO_COST)
    report(f"{fewest} seats; exps/papers/exfairs/setup.py has {BOUNDED_SEQUENCES}")


def run_all(median: float, seats: int) -> Sequence[Run]:
    """FCFS on every scenario with both kinds and every seed."""
    tasks = (delayed(run)(median, seats, name, seed) for name in SCENARIOS_WITH_BOTH for seed in range(SEEDS))
    found: Sequence[Run] = Parallel(n_jobs=-1)(tasks)
    return found


def run(median: float, seats: int, name: str, seed: int) -> Run:
    """FCFS on one scenario."""
    sent = rounds_timetable(replace(SCENARIOS[name], rounds=ROUNDS), seed, long=replace(LONG, median=median))
    policies = {BATCHING: {"max_sequences": seats}}
    setup = Setup(parse_system(f"order=fcfs,batch={BATCHING}"), MODEL, HARDWARE, "first-principles", seed, policies=policies)
    requests = simulate(sent, setup).requests.with_columns(e2e_s=pl.col("finished_s") - pl.col("arrival_s"))
    answered = requests.filter(FINISHED)
    short = requests.filter(pl.col("category") == "short")
    in_time = (short["status"] == "finished") & (short["e2e_s"] <= short["slo_s"])
    means = dict(answered.group_by("category").agg(pl.col("e2e_s").mean()).rows())
    return Run(
        latency_s={kind: means.get(kind, float("inf")) for kind in STATED_S},
        short_missed=1 - float(in_time.fill_null(False).mean() or 0.0),  # type: ignore[arg-type]
        gave_up=float((requests["status"] == "aborted").mean() or 0.0),  # type: ignore[arg-type]
        tokens=int(answered["output_tokens"].sum()),
    )
