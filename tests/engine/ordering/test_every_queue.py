"""What holds for every client-queue policy, whatever the batching."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.ordering import Ordering
from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.justitia import Justitia
from engine.ordering.mechanics.recent import Recent
from engine.ordering.mlfq import MLFQ
from engine.ordering.priority import Priority
from engine.ordering.que import QuE
from engine.ordering.round_robin import RoundRobin
from engine.ordering.slo_greedy import SLOGreedy
from engine.ordering.vtc_artifact import VTCArtifact
from engine.request import Request
from engine.speculation.chain import Chain
from tests.engine.ordering.queues import admit_next, finish
from tests.engine.strategies import assert_served, make_request, serve, workloads

POLICIES: dict[str, Callable[..., Ordering]] = {
    "exfairs": ExFairS, "exfairs-continuous": ContinuousExFairS, "que": QuE, "round-robin": RoundRobin, "mlfq": MLFQ,
    "justitia": Justitia, "slo-greedy": SLOGreedy, "priority": Priority, "vtc-artifact": VTCArtifact,
}
SHORT: dict[str, dict[str, Any]] = {
    "exfairs": {"round_s": 0.1}, "exfairs-continuous": {"round_s": 0.1, "era_s": 0.3, "decay": 0.9}, "que": {"round_s": 0.1},
    "priority": {"levels": "a:1;b:-1"}, "vtc-artifact": {"round_s": 0.1}, "mlfq": {"starvation_s": 0.05},
}
BATCHINGS: dict[str, Callable[[], Batching]] = {
    "vllm": lambda: VLLM(max_sequences=3, block_size=4),
    "slora": lambda: SLoRA(adapter_tokens=2, longest_request=60),
    "sarathi": lambda: Sarathi(token_budget=24, max_sequences=3, block_size=4),
}


def make(name: str, **more: Any) -> Ordering:
    return POLICIES[name](**{**SHORT.get(name, {}), **more})


@pytest.mark.parametrize("speculation", [None, Chain(2)])
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=8, deadline=None)
@given(requests=workloads(), slo_s=st.sampled_from((None, 0.05, 0.4)))
def test_every_policy_serves_everyone_and_never_idles_with_any_batching(
    name: str, batching: str, speculation: Chain | None, requests: list[Request], slo_s: float | None
) -> None:
    for request in requests:
        request.slo_s = slo_s
    served = serve(requests, BATCHINGS[batching](), make(name), speculation, pool_tokens=110)
    assert_served(served)
    assert len(served.engine.ordering) == 0


@pytest.mark.parametrize("name", POLICIES)
def test_a_preempted_request_goes_next(name: str) -> None:
    policy = make(name)
    for i in range(3):
        policy.on_arrival(make_request(i, "b"), 0.0)
    first, second = admit_next(policy), admit_next(policy)
    for request in (second, first):
        request.preemptions += 1
        policy.requeue(request)
    assert len(policy) == 3
    assert [admit_next(policy), admit_next(policy)] == [first, second]
    for request in (first, second):
        finish(policy, request)
    assert admit_next(policy).id == 2


def held(thing: object) -> int:
    """Entries of all containers that a policy reaches."""
    if isinstance(thing, Mapping):
        return len(thing) + sum(map(held, thing.values()))
    if isinstance(thing, (list, set, deque)):
        return len(thing) + sum(map(held, thing))
    own = isinstance(thing, (Ordering, Recent)) or type(thing).__module__.startswith("engine.ordering")
    return sum(map(held, vars(thing).values())) if own and hasattr(thing, "__dict__") else 0


@pytest.mark.parametrize("name", POLICIES)
def test_clients_that_left_are_forgotten(name: str) -> None:
    policy = make(name)
    requests = [make_request(i, f"client-{i}", output=2, arrival_s=0.002 * i, slo_s=0.05) for i in range(300)]
    serve(requests, VLLM(max_sequences=2), policy)
    for i, now in enumerate((1e6, 2e6), start=300):
        policy.on_arrival(make_request(i, arrival_s=now), now)
        policy.on_pass(now)
        finish(policy, admit_next(policy, now), now)
    assert held(policy) < 12


def test_mlfq_without_promotion_holds_nothing_of_those_that_were_served() -> None:
    policy = MLFQ(starvation_s=1e9)
    serve([make_request(i, output=2) for i in range(100)], VLLM(max_sequences=2), policy)
    policy.on_pass(1.0)
    assert policy.next(1.0) is None and held(policy) == 0


def workload() -> list[Request]:
    """Bursts of four clients with SLOs that some of their requests miss."""
    return [
        make_request(
            i, "abbcd"[i % 5], 3 + 37 * i % 50, 2 + 11 * i % 17, arrival_s=0.9 * (i // 30) + 0.01 * (i % 30),
            slo_s=(0.1, 0.6, 2.0)[i % 3], category="xyz"[i % 3],
        )
        for i in range(120)
    ]


KNOBS: dict[str, dict[str, Any]] = {
    "exfairs": {"round_s": 0.3, "alpha": 0.0, "threshold": 0.4, "sensitivity": 0.3, "cap": 0.1, "max_exchanges": 3,
                "normalize": "max", "penalize_service": True, "truncate": True, "multiplier": 0.0, "max_positions": 1,
                "keep_s": 0.05},
    "exfairs-continuous": {"round_s": 0.3, "alpha": 0.4, "adaptive": False, "alpha_min": 0.8, "alpha_max": 0.8,
                           "threshold": 0.9, "sensitivity": 0.1, "amplifier": 1.0, "max_exchanges": 1, "bound": 500.0,
                           "decay": 0.2, "era_s": 0.05, "multiplier": 0.1, "max_positions": 1, "keep_s": 0.05},
    "que": {"round_s": 0.3, "throughput": 5.0, "latency": 0.0, "cost": 5.0, "artifact_signs": True, "multiplier": 0.0,
            "max_positions": 1, "keep_s": 0.05},
    "justitia": {"memory": 1.0, "max_output": 1},
    "slo-greedy": {"count_late": True, "keep_s": 0.01},
    "priority": {"levels": "a:-1;b:1", "by": "category", "default": -7.0},
    "vtc-artifact": {"round_s": 0.5},
    "mlfq": {"quantum": 0.01, "levels": 1, "prompt_weight": 1.0, "starvation_s": 0.1},
}
BASES: dict[tuple[str, str], dict[str, Any]] = {
    ("exfairs", "truncate"): {"alpha": 0.7, "threshold": 0.0},
    ("justitia", "max_output"): {"memory": 2000.0},
    ("slo-greedy", "keep_s"): {"count_late": True},
    ("mlfq", "levels"): {"prompt_weight": 1.0},
    ("priority", "by"): {"levels": "x:1;a:1"},
    ("priority", "default"): {"levels": "a:-1"},
}


@pytest.mark.parametrize(("name", "knob"), [(name, knob) for name, knobs in KNOBS.items() for knob in knobs])
def test_the_knob_moves_a_record(name: str, knob: str) -> None:
    base = {"round_s": 0.1} if "round_s" in KNOBS[name] else {}
    base |= BASES.get((name, knob), {})
    plain, turned = (
        serve(workload(), VLLM(max_sequences=2), POLICIES[name](**options), pool_tokens=400).records()
        for options in (base, {**base, knob: KNOBS[name][knob]})
    )
    assert plain != turned


@pytest.mark.parametrize("name", POLICIES)
def test_no_knob_is_forgotten(name: str) -> None:
    assert set(KNOBS.get(name, ())) == set(signature(POLICIES[name]).parameters)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("que", {"latency": -1}), ("justitia", {"memory": 0}), ("justitia", {"max_output": 0}), ("slo-greedy", {"keep_s": 0}),
        ("priority", {"by": "app"}), ("priority", {"levels": "a"}), ("priority", {"levels": "a:x"}),
        ("vtc-artifact", {"round_s": 0}), ("mlfq", {"quantum": 0}), ("mlfq", {"levels": 0}), ("mlfq", {"starvation_s": 0}),
        ("mlfq", {"prompt_weight": -1}),
    ],
)
def test_wrong_parameters_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        POLICIES[name](**wrong)
