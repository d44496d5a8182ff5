"""Every knob moves its metric: changing a parameter changes what happens to some request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from inspect import signature
from typing import Any

import numpy as np
import pytest

from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.cost import DraftCost, Line, StepCost, TiledPrefill
from engine.executors.simulated.executor import SimulatedExecutor
from engine.executors.simulated.profiles import Calibration, load_deployment
from engine.ordering.vtc import VTC
from engine.request import Request
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.goodput import GoodputChain
from engine.speculation.specinfer import SpecInfer
from tests.engine.strategies import COST, serve

ADASERVE: dict[str, Any] = {
    "budget": 20, "depth_budget": 24, "width_budget": 10, "n_max_share": 0.8, "draft_s": 0.004,
    "verify_tokens": (0.0, 40.0), "verify_s": (0.0, 0.02),
}
GOODPUT: dict[str, Any] = {"draft_step_s": 0.001, "verify_tokens": (0.0, 40.0), "verify_s": (0.01, 0.012)}
LAUNCHING = replace(COST, draft=DraftCost(0.001, 1e-5, launches_s=0.004))
EXPANDED = replace(COST, expands_batch=True)
PREFILL = TiledPrefill(0.01, 0.002)
CALIBRATION = Calibration("x", scale={"chains": 1.0}, host_s=0.001)

KNOBS: dict[Callable[..., Any], dict[str, Any]] = {
    VTC: {"w_p": 9.0, "w_q": 0.1, "weights": {"c": 5.0}, "lift": False, "lift_from_empty": False, "duplicate_charge": True,
          "cost": "profiled", "predict": "mean", "spread": 0.1, "seed": 1},
    SLoRA: {"decodes_between_admissions": 2, "longest_request": 60, "adapter_tokens": 60, "max_sequences": 2,
            "poll_s": 0.5, "late_arrivals": False, "reads_per_wait": 0.1},
    VLLM: {"max_sequences": 2, "max_batched_tokens": 60, "watermark": 0.3, "block_size": 40, "swap_tokens": 400},
    Sarathi: {"token_budget": 24, "max_sequences": 2, "watermark": 0.3, "block_size": 40, "swap_tokens": 400},
    Chain: {"tokens": 1},
    AdaServe: {"budget": 9, "depth_budget": 64, "width_budget": 30, "depth": (1, 2), "width": (1, 1), "c1": 9.0,
               "c2": 2, "n_max_share": 0.1, "draft_s": 0.04, "verify_tokens": (0.0, 4.0), "verify_s": (0.0, 0.2),
               "slo_selection": False, "neediest_first": False, "rest": "equal", "eager": True},
    GoodputChain: {"longest": 1, "draft_step_s": 0.02, "verify_tokens": (0.0, 4.0), "verify_s": (0.0, 0.2), "accepted": 0.1,
                   "memory": 3.0},
    AcceptanceModel: {"mean": 0.4, "concentration": 9.0, "later_share": 0.6, "by_kind": {"chat": 0.2}, "spread": 1.0},
    SimulatedExecutor: {"seed": 1, "cold_start_s": 0.5},
    StepCost: {"line": Line((0, 1), (0.01, 0.012)), "context_s": 1e-5, "prefill": None, "draft": DraftCost(0.002, 0.0),
               "expands_batch": True, "expanded_s": 1e-4, "host_s": 0.003, "scale": 1.5, "query_s": 1e-5,
               "sequence_s": 1e-4},
    DraftCost: {"step_s": 0.003, "token_s": 0.001, "step_token_s": 0.0005, "context_s": 1e-6, "launches_s": 0.004},
    TiledPrefill: {"fixed_s": 0.03, "tile_s": 0.01, "tile": 16},
    Calibration: {"scale": {"chains": 1.5}, "step_factor": 1.2, "host_s": 0.004, "sequence_s": 1e-4,
                  "expanded_s": 1e-4},
}

GUESSED = {"predict": "oracle", "spread": 0.5}
NEEDS: dict[tuple[Callable[..., Any], str], dict[str, Any]] = {
    **{(VTC, name): GUESSED for name in ("spread", "seed", "cost")},
    (AdaServe, "neediest_first"): {"budget": 14, "n_max_share": 9.0},
}


def workload() -> list[Request]:
    """Bursts of three clients; the queue fills and empties."""
    rng = np.random.default_rng(7)
    requests = []
    for i in range(100):
        slo = (None, 0.008, 0.02, 0.05)[int(rng.integers(4))]
        arrival = 1.3 * (i // 20) + 0.017 * (i % 20)
        client = "abc"[int(rng.choice(3, p=(0.6, 0.3, 0.1)))]
        prompt, output = int(rng.integers(2, 60)), int(rng.integers(2, 30))
        requests.append(Request(i, client, prompt, output, arrival, slo, category="chat"))
    return requests


def run(thing: Callable[..., Any], knob: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Records of the workload on a small system in which ``thing`` has the given parameters."""
    if thing is VTC:
        return serve(workload(), SLoRA(poll_s=0.0), VTC(**knob), pool_tokens=400).records()
    if thing in (SLoRA, VLLM):
        return serve(workload(), thing(**knob), pool_tokens=400).records()
    if thing is Sarathi:
        return serve(workload(), Sarathi(**{"token_budget": 64, **knob}), pool_tokens=400).records()
    if thing is Chain:
        return serve(workload(), VLLM(), speculation=Chain(**knob)).records()
    if thing is AdaServe:
        return serve(workload(), Sarathi(), speculation=AdaServe(**{**ADASERVE, **knob}), cost=LAUNCHING).records()
    if thing is GoodputChain:
        return serve(workload(), VLLM(), speculation=GoodputChain(**{**GOODPUT, **knob})).records()
    if thing is AcceptanceModel:
        model = AcceptanceModel(**{"mean": 0.7, **knob})
        return serve(workload(), Sarathi(), speculation=AdaServe(**ADASERVE), acceptance=model).records()
    if thing is SimulatedExecutor:
        return serve(workload(), VLLM(), speculation=Chain(), **knob).records()
    speculation = SpecInfer("1;1;1;1") if thing is DraftCost else Chain()
    return serve(workload(), VLLM(), speculation=speculation, cost=cost(thing, knob)).records()


def cost(thing: Callable[..., Any], knob: Mapping[str, Any]) -> StepCost:
    if thing is StepCost:
        return replace(EXPANDED if "expanded_s" in knob else COST, **{"prefill": PREFILL, **knob})
    if thing is DraftCost:
        return replace(COST, draft=DraftCost(**{"step_s": 0.001, "token_s": 1e-5, **knob}))
    if thing is TiledPrefill:
        return replace(COST, prefill=replace(PREFILL, **knob))
    calibrations = {"x": replace(CALIBRATION, **knob)}
    deployment = replace(load_deployment("llama-2-7b", "a10g"), line=COST.line, calibrations=calibrations)
    return replace(deployment, expands_chains=True).step_cost("chains", "x")


@pytest.mark.parametrize(("thing", "name"), [(thing, name) for thing, knobs in KNOBS.items() for name in knobs])
def test_the_knob_moves_a_record(thing: Callable[..., Any], name: str) -> None:
    base = NEEDS.get((thing, name), {})
    assert run(thing, {**base, name: KNOBS[thing][name]}) != run(thing, base)


@pytest.mark.parametrize("thing", KNOBS)
def test_no_knob_is_forgotten(thing: Callable[..., Any]) -> None:
    if thing is SimulatedExecutor:
        known = {"seed", "cold_start_s"}
    elif thing in (Calibration, StepCost):
        known = {field.name for field in fields(thing) if field.name[0] != "_"}
        known -= {"fitted_on", "acceptance", "policies"}  # a note, and what has knobs of its own
    else:
        known = set(signature(thing).parameters)
    assert set(KNOBS[thing]) == known
