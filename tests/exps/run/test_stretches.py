"""Steps between two events taken in one go leave the records that they leave one by one, to the byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering.fcfs import FCFS
from engine.roles import Policies
from engine.stretch import Stretch
from engine.system import PRESETS, parse_system
from exps.run.serving import Outcome, Setup
from exps.run.simulation import simulate
from exps.workload.timetable import timetable
from tests.engine.strategies import COST, Log, make_request, serve

DRAFTING = ("llama-3.1-70b", "4xa100-80g", "first-principles")
PLAIN = ("llama-2-7b", "a10g", "session-2024")
ODD = (
    "order=vtc(w_q=0.3),batch=slora", "vtc,order=vtc(weights=0:3;1:0.7)", "order=vtc(cost=profiled),batch=slora",
    "order=vtc,batch=vllm", "order=vtc,batch=sarathi(token_budget=8)", "order=drr,batch=vllm", "order=exfairs,batch=slora",
    "order=mlfq,batch=sarathi", "order=priority(levels=0:1;1:0),batch=slora", "order=fairserve,batch=vllm",
    "order=rpm(limit=5,follow=true),batch=slora(reads_per_wait=1.315)", "order=fcfs,batch=slora(reads_per_wait=0.3)",
    "order=vtc,batch=slora(late_arrivals=false,poll_s=0)", "batch=orca", "dlora,adapters=credit(gap=2)",
    "dlora,place=migrating(kv=transferred,replicas=3,period_s=1,fails=1@9)", "batch=vllm,place=least-cost",
)


def workload(rng: np.random.Generator) -> pl.DataFrame:
    """Up to 60 requests of up to 8 clients, from a few a minute to far too many, some impatient or in interactions."""
    n, longest = int(rng.integers(1, 60)), int(rng.choice([20, 100, 300]))
    gaps = rng.exponential(10 ** -rng.uniform(-1, 1.5), n) * (rng.random(n) < 0.7)
    calls = {"interaction": np.arange(n) // 3, "call": np.arange(n) % 3 + 1, "calls": np.full(n, 3)}
    usual = {"expected_input": np.full(n, 50.0), "expected_system": np.full(n, 20.0), "expected_output": np.full(n, 60.0)}
    patience = [s if rng.random() < 0.15 else None for s in rng.uniform(0.1, 60, n).tolist()]
    return timetable(
        {
            "arrival_s": np.cumsum(gaps),
            "client": pl.Series(rng.integers(0, rng.integers(1, 9), n)).cast(pl.String),
            "adapter": pl.Series(np.arange(n) * np.arange(n) % 5 % 3).cast(pl.String),
            "prompt_tokens": rng.integers(1, longest, n),
            "output_tokens": rng.integers(1, longest * 2, n),
            "slo_tpot_s": np.full(n, 0.05),
            "slo_s": rng.uniform(1, 40, n),
            "patience_s": pl.Series(patience, dtype=pl.Float64),
            **usual,
            **(calls if rng.random() < 0.5 else {}),
        }
    )


def setup(system: str, rng: np.random.Generator) -> Setup:
    seats = {"max_sequences": int(rng.choice([2, 5, 500]))}
    paged = {**seats, "swap_tokens": int(rng.choice([0, 100, 1000]))}
    rounds = {name: {"round_s": 2.0} for name in ("exfairs", "exfairs-continuous", "que", "vtc-artifact")}
    replicas = {"adapters": {"slots": 2}, "one-model-each": {"slots": 1}, "placement": {"replicas": 2, "period_s": 3.0}}
    drafts = parse_system(system).choices["speculation"].name != "off"
    return Setup(
        parse_system(system),
        *(DRAFTING if drafts else PLAIN),
        kv_tokens=int(rng.choice([700, 2000, 6000])),
        record_steps=True,
        cold_start_s=float(rng.choice([0.0, 1.3])),
        until_s=float(rng.uniform(5, 60)) if rng.random() < 0.3 else None,
        policies={"vllm": paged, "sarathi": paged, "orca": paged, "slora": seats, **rounds, **replicas},
    )


def assert_same(together: Outcome, one_by_one: Outcome) -> None:
    assert together.facts == one_by_one.facts
    assert together.requests.equals(one_by_one.requests)
    assert together.steps is not None and one_by_one.steps is not None and together.steps.equals(one_by_one.steps)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from((*PRESETS, *ODD)), st.integers(0, 2**32))
def test_records_are_equal_to_the_byte(system: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    requests, asked = workload(rng), setup(system, rng)
    assert_same(simulate(requests, asked), simulate(requests, replace(asked, step_by_step=True)))


@pytest.mark.parametrize("system", ["fcfs", "vtc", "vllm", "sarathi", "exfairs", "fairserve", "drr"])
def test_most_steps_are_taken_together(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 300 output tokens, with waiting requests of several clients."""
    together = 0

    def take(stretch, plan, until_s):
        nonlocal together
        times, left = original(stretch, plan, until_s)
        together += max(len(times) - 1, 0)
        return times, left

    original = Stretch.take
    monkeypatch.setattr(Stretch, "take", take)
    rng = np.random.default_rng(0)
    requests = workload(rng).with_columns(output_tokens=pl.lit(300, pl.Int64), patience_s=pl.lit(None, pl.Float64))
    outcome = simulate(requests, Setup(parse_system(system), *PLAIN))
    assert together > 0.6 * outcome.facts["steps"]


def test_a_policy_of_somebody_else_decides_at_every_step() -> None:
    class Mine(FCFS):
        def horizon(self, by_client):
            raise AssertionError("nobody may ask")

    requests = [make_request(i, output=20) for i in range(3)]
    log = Log()
    engine = Engine(Policies(Mine(), VLLM()), SimulatedExecutor(COST, None, 0), BlockPool(1000, 16), log, stretches=True)
    engine.run(requests)
    assert len(log.steps) == engine.steps == len(serve([make_request(i, output=20) for i in range(3)], VLLM()).log.steps)
