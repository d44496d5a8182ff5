"""The replayed exchange is the one that the policy made while it served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import pytest

from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.executors.simulated.executor import SimulatedExecutor
from engine.executors.simulated.profiles import load_deployment
from engine.kv_cache import BlockPool
from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.mechanics.rounds import Tally
from engine.roles import Policies
from exps.papers.exfairs.replay import replay
from exps.run.recorder import Recorder
from exps.run.simulation import requests_of
from exps.workload.exfairs import SCENARIOS, Scenario, rounds_timetable

State = tuple[dict[str, float], dict[str, float], int]


class Watched(ExFairS):
    """Remembers its state after each round."""

    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        super().end_round(tallies, rounds)
        self.__dict__.setdefault("history", []).append((self.priorities, self.credits, self.exchanged))


class WatchedContinuous(ContinuousExFairS):
    """Remembers its state after each window."""

    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        super().end_round(tallies, rounds)
        self.__dict__.setdefault("history", []).append((self.priorities, self.credits, self.exchanged))


def serve(scenario: Scenario, policy: Watched | WatchedContinuous, load: float = 1.0, pool: int = 100_000) -> pl.DataFrame:
    """The records of a run on ExFairS's testbed with 16 at a time."""
    timetable = rounds_timetable(scenario, load=load)
    deployment = load_deployment("qwen2.5-32b", "8xv100-32g")
    executor = SimulatedExecutor(deployment.step_cost("plain", "first-principles"), None, seed=0)
    recorder = Recorder(timetable.height, record_steps=False)
    batching = VLLM(max_sequences=16, max_batched_tokens=8124)
    Engine(Policies(policy, batching), executor, BlockPool(pool, batching.block_size), recorder).run(requests_of(timetable))
    return recorder.requests(timetable)


def replayed(records: pl.DataFrame, policy: ExFairS | ContinuousExFairS) -> list[State]:
    last_s = records["finished_s"].max()
    assert isinstance(last_s, float)
    return [(dict(end.priorities), dict(end.credits), end.exchanged) for end in replay(records, policy, last_s)]


@pytest.mark.parametrize("name", ["early-3", "dec-1", "dec-4"])
def test_the_exchanges_of_a_whole_run_are_those_of_the_policy(name):
    scenario = replace(SCENARIOS[name], rounds=4)
    live = Watched(round_s=scenario.period_s)
    records = serve(scenario, live)
    history = live.__dict__["history"]
    assert live.exchanged > 0 and len(history) >= 3
    assert replayed(records, ExFairS(round_s=scenario.period_s)) == history


def test_refused_requests_take_part():
    scenario = replace(SCENARIOS["dec-1"], rounds=3)
    live = Watched(round_s=scenario.period_s, alpha=1.0)
    records = serve(scenario, live, load=0.3, pool=6_000)
    assert (records["status"] == "rejected").any() and live.exchanged > 0
    assert replayed(records, ExFairS(round_s=scenario.period_s, alpha=1.0)) == live.__dict__["history"]


@pytest.mark.parametrize("name", ["early-3", "dec-1"])
def test_the_short_windows_of_the_continuous_form_agree_too(name):
    """Although steps span their ends: what an arrival adds to a window decides nothing there."""
    live = WatchedContinuous()
    records = serve(replace(SCENARIOS[name], rounds=3), live, load=0.8)
    assert live.exchanged > 0 and len(live.__dict__["history"]) > 20
    assert replayed(records, ContinuousExFairS()) == live.__dict__["history"]


def test_a_round_tells_how_the_clients_fared_and_when_it_ended():
    scenario = replace(SCENARIOS["early-3"], rounds=2)
    records = serve(scenario, Watched(round_s=scenario.period_s), load=0.5)
    ends = list(replay(records, ExFairS(round_s=scenario.period_s), 2 * scenario.period_s))
    assert [end.end_s for end in ends] == [105.0, 210.0]
    assert sum(tally.submitted for tally in ends[0].tallies.values()) == (records["arrival_s"] < 105).sum()
