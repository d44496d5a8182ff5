"""What a system costs follows from what its policies do: under another name it gets the same records."""

from __future__ import annotations

import polars as pl
import pytest

from engine.batching import BATCHINGS
from engine.executors.simulated.engines import CHAINS, PLAIN, TREES, engine_of
from engine.executors.simulated.profiles import load_deployment
from engine.ordering import ORDERINGS
from engine.plan import DraftShape
from engine.speculation import SPECULATIONS, Speculation
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.specinfer import SpecInfer
from engine.system import parse_system
from exps.run.serving import Setup
from exps.run.simulation import simulate
from exps.workload.adaserve import evaluation_timetable
from exps.workload.adaserve_loads import of_rate

MODEL, HARDWARE = "qwen2.5-32b", "2xa100-80g"


class Stranger(Speculation):
    """A chain written from scratch: nothing says so but the shape of its drafts."""

    def __init__(self, tokens: int = 4):
        self.tokens = tokens

    def shape(self, *known):
        return Chain(self.tokens).shape(*known)

    def select(self, *known):
        return Chain(self.tokens).select(*known)


class Heir(AdaServe):
    """AdaServe under another class."""


class Asking(Chain):
    """A chain that wants to know what a step will take."""

    def __init__(self, draft_s: float = 0.0, verify_s: tuple[float, ...] = ()):
        super().__init__()
        self.draft_s, self.verify_s = draft_s, verify_s


def served(system: str) -> pl.DataFrame:
    baseline_s = load_deployment(MODEL, HARDWARE).baseline_tpot_s
    timetable = evaluation_timetable(of_rate(3.8), baseline_s, 0, None, duration_s=20.0)
    return simulate(timetable, Setup(parse_system(system), MODEL, HARDWARE, "scaled")).requests


@pytest.mark.parametrize(
    ("registry", "name", "policy", "system", "alias"),
    [
        (SPECULATIONS, "chain", Chain, "vllm-spec-8", "vllm,spec=mine(tokens=8)"),
        (SPECULATIONS, "chain", Stranger, "vllm-spec-8", "vllm,spec=mine(tokens=8)"),
        (SPECULATIONS, "adaserve", AdaServe, "adaserve", "adaserve,spec=mine"),
        (SPECULATIONS, "adaserve", Heir, "adaserve", "adaserve,spec=mine"),
        (ORDERINGS, "fcfs", ORDERINGS["fcfs"], "vllm", "vllm,order=mine"),
        (ORDERINGS, "vtc", ORDERINGS["vtc"], "vllm,order=vtc", "vllm,order=mine"),
        (BATCHINGS, "sarathi", BATCHINGS["sarathi"], "sarathi", "vllm,batch=mine"),
    ],
)
def test_a_policy_under_another_name_gets_the_same_records(monkeypatch, registry, name, policy, system, alias):
    monkeypatch.setitem(registry, "mine", policy)
    assert served(alias).equals(served(system))


def test_the_engine_follows_from_the_drafts():
    class Raises(Chain):
        def shape(self, *known):
            raise RuntimeError

    class Branches(Chain):
        def shape(self, *known):
            return DraftShape(2, 3, 100, whole=True)

    assert [engine_of(policy) for policy in (None, Chain(), Stranger())] == [PLAIN, CHAINS, CHAINS]
    assert {engine_of(policy) for policy in (AdaServe(), SpecInfer(), Branches())} == {TREES}
    with pytest.raises(RuntimeError):
        engine_of(Raises())


def test_every_speculation_policy_that_asks_gets_the_deployments_estimate_of_a_step(monkeypatch):
    monkeypatch.setitem(SPECULATIONS, "asking", Asking)
    given = load_deployment(MODEL, HARDWARE).policies_under("scaled")
    asking = parse_system("spec=asking").build(given).speculation
    assert isinstance(asking, Asking)
    assert (asking.draft_s, tuple(asking.verify_s)) == (0.035, tuple(given["speculation"]["verify_s"]))
