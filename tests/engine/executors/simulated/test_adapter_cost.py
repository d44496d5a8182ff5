"""What adapters add to a step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.credit import Credit
from engine.adapters.one_at_a_time import PEFT, OneModelEach
from engine.adapters.unmerged import MultiLoRA
from engine.batch import Batch
from engine.executors.simulated.adapter_cost import AdapterCost
from engine.executors.simulated.profiles import load_deployment
from engine.plan import Chunk, StepPlan, Weights
from tests.engine.strategies import make_request

COST = AdapterCost(kernel_s=0.012, token_s=1e-6, weights_s=1e-4, fold_s=0.02, copy_s=0.003, read_s=0.05, layers=32, dense=True)
STEP_S = 0.015


def batch_of(adapters: str) -> Batch:
    batch = Batch()
    for id, name in enumerate(adapters):
        request = make_request(id, adapter=None if name == "-" else name)
        request.produced, request.first_token_s = 1, 0.0
        batch.add(request)
    return batch


def test_adapters_beside_the_base_model_cost_launches_operations_and_bytes():
    plan, rows = StepPlan(decode=True, weights=Weights()), batch_of("aab")
    assert COST.seconds(plan, rows, STEP_S)[0] == pytest.approx(STEP_S + 0.012 + 3 * 2 * 1e-6 + 2e-4)
    assert replace(COST, dense=False).seconds(plan, rows, STEP_S)[0] == pytest.approx(STEP_S + 0.012 + 3e-6 + 2e-4)
    prompt = StepPlan([Chunk(make_request(9, adapter="c"), 0, 100)], decode=True, weights=Weights())
    assert COST.seconds(prompt, rows, STEP_S)[0] == pytest.approx(STEP_S + 0.012 + 103 * 3 * 1e-6 + 3e-4)


@pytest.mark.parametrize(("weights", "adapters"), [(None, "ab"), (Weights(merged="a"), "aa"), (Weights(), "--")])
def test_the_base_model_alone_costs_nothing_more(weights, adapters):
    assert COST.seconds(StepPlan(decode=True, weights=weights), batch_of(adapters), STEP_S) == (STEP_S, 0.0)


def test_folds_and_copies_are_what_adjusting_takes():
    plan = StepPlan(decode=True, weights=Weights("a", folds=2, loads=("a",), reads=("a",)))
    whole = replace(COST, overlaps=False).seconds(plan, batch_of("a"), STEP_S)
    assert whole == (pytest.approx(STEP_S + 0.04 + 0.053), pytest.approx(0.093))


@given(st.integers(0, 5), st.floats(0.001, 0.1))
def test_layers_that_wait_for_their_own_part_wait_for_no_more_than_the_longer(loads, step_s):
    weights = Weights(loads=tuple("abcde"[:loads]))
    overlapped, apart = COST.ready_s(weights, step_s), replace(COST, overlaps=False).ready_s(weights, step_s)
    assert max(step_s, 0.003 * loads) <= overlapped * (1 + 1e-9) and overlapped <= apart * (1 + 1e-9)


def test_the_profile_has_the_constants_of_dloras_scheduler():
    deployment = load_deployment("llama-2-7b", "a100-80g")
    dense = deployment.adapter_cost(Credit())
    assert dense.kernel_s == pytest.approx(0.012)
    assert deployment.step_cost("plain", "dlora").line(16) == pytest.approx(0.015, rel=0.01)
    assert dense.fold_s == pytest.approx(0.02, rel=0.01) and dense.copy_s == pytest.approx(0.0029, rel=0.02)
    assert deployment.adapter_cost(MultiLoRA()).kernel_s < dense.kernel_s == deployment.adapter_cost(PEFT()).kernel_s
    copies = deployment.adapter_cost(OneModelEach())
    assert copies.kernel_s == copies.weights_s == 0 and copies.copy_s == pytest.approx(0.392, rel=0.01)
    assert deployment.adapter_cost(Credit(kernel_s=0.001)).kernel_s == 0.001


def test_adapters_and_models_take_their_part_of_the_pool():
    deployment = load_deployment("llama-2-7b", "a100-80g")
    assert deployment.kv_tokens_beside(MultiLoRA(slots=8), 100_000) == int(100_000 - 8 * 192.5)
    assert deployment.kv_tokens_beside(OneModelEach(slots=4), 100_000) == pytest.approx(100_000 - 3 * 25_711, rel=1e-3)
