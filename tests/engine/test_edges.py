"""Edges at which one token, one place or one instant more decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.batching.base import Running
from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering.drr import DRR
from engine.ordering.exfairs import ExFairS
from engine.ordering.fairserve import FairServe
from engine.ordering.fairserve.normalised import CLIENT_TABLE, Ratio, TokenWeights, Whole, of_client
from engine.ordering.fairserve.throttle import MinuteToLast
from engine.ordering.fcfs import FCFS
from engine.ordering.mechanics.interactions import goes_on
from engine.ordering.mechanics.rounds import Tally
from engine.ordering.mechanics.windows import WINDOW_S
from engine.ordering.vtc import VTC
from engine.ordering.vtc.cost import profiled
from engine.plan import Candidates
from engine.progress import Progress
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.mechanics.selection import distinct, select_for_slo
from engine.speculation.specinfer import SpecInfer
from exps.metrics.interactions import counter_classes, delayed_clients_pct
from exps.metrics.isolation import modest_clients
from tests.engine.strategies import COST, make_progress, make_request, serve


def chain(*probabilities: float) -> Candidates:
    """One request's candidates in a chain."""
    paths = np.array(probabilities)[None, :, None]
    return Candidates(paths, np.zeros(paths.shape, np.int64))


def test_a_need_is_capped_at_the_draft_and_the_bonus() -> None:
    """Depth 2: of whom more than 3 tokens are wanted takes what 3 would, which its nodes of 1.0 and 0.999.. cannot exceed."""
    probability = np.array([[[1.0, 0.5], [1.0, 0.5]]])
    wanted = select_for_slo(distinct(probability), np.array([50.0]), room=9, n_max=9)
    capped = select_for_slo(distinct(probability), np.array([3.0]), room=9, n_max=9)
    assert wanted.sum() == capped.sum() == 2


def test_the_neediest_goes_first_by_its_need_and_not_by_the_cap() -> None:
    probability = np.full((2, 1, 1), 0.5)
    need = np.array([5.0, 9.0])
    assert select_for_slo(distinct(probability), need, room=1, n_max=5)[:, 0, 0].tolist() == [False, True]


def test_t_spec_is_of_the_tokens_that_the_step_will_verify() -> None:
    """Budget 3, depth 4: the estimate is of 3 tokens, 30 ms, by which the SLO of 25 ms wants more than the root."""
    policy = AdaServe(budget=3, verify_tokens=(0.0, 100.0), verify_s=(0.0, 1.0), rest="none")
    trees = policy.select(chain(0.9, 0.8, 0.7, 0.6), make_progress([0.0], [0], [0.025]))
    assert trees.selected.sum() == 1
    roomy = AdaServe(budget=64, verify_tokens=(0.0, 100.0), verify_s=(0.0, 1.0), rest="none", n_max_share=9)
    assert roomy.select(chain(0.9, 0.8, 0.7, 0.6), make_progress([0.0], [0], [0.025])).selected.sum() == 2


def test_t_spec_counts_the_root_once() -> None:
    """A root and one node, 20 ms: within 21 ms the root suffices, within 19 ms it does not."""
    policy = AdaServe(verify_tokens=(0.0, 100.0), verify_s=(0.0, 1.0), rest="none")
    picked = [policy.select(chain(0.9), make_progress([0.0], [0], [slo])).selected.sum() for slo in (0.021, 0.019)]
    assert picked == [0, 1]


def test_without_a_table_a_step_takes_no_time() -> None:
    assert AdaServe().step_s(0) == AdaServe().step_s(300) == 0.0


def test_the_draft_of_many_requests_is_as_small_as_the_published_bounds_allow() -> None:
    few, many = (AdaServe().shape(Progress.fresh(n)) for n in (1, 200))
    assert few is not None and many is not None
    assert (few.depth, few.width, many.depth, many.width) == (5, 3, 3, 1)


def test_specinfers_tree_has_21_tokens() -> None:
    shape = SpecInfer().shape(Progress.fresh(2))
    assert (shape.depth, shape.width, shape.max_tokens) == (8, 3, 42)


def test_n_max_is_a_share_of_the_budget_for_each_request() -> None:
    many = Candidates(np.full((2, 4, 1), 0.9), np.zeros((2, 4, 1), np.int64))
    policy = AdaServe(budget=8, n_max_share=0.5, rest="none")
    assert policy.select(many, make_progress([9.0, 9.0], [0, 0], [0.1, 0.1])).selected.sum(axis=(1, 2)).tolist() == [2, 2]


def test_what_decoded_counts_leaves_out_the_token_of_the_prefill() -> None:
    """TPOT is time since the first token over the tokens after it, for the policy as for the metric."""
    policy = AdaServe(budget=64, verify_s=(0.0, 0.0), rest="none")
    late = policy.select(chain(0.9), make_progress([1.5], [0], [1.0]))
    assert late.selected.sum() == 1
    assert policy.select(chain(0.9), make_progress([1.5], [1], [1.0])).selected.sum() == 0


@pytest.mark.parametrize("wrong", [{"cost": "x"}, {"predict": "x"}, {"spread": -0.1}, {"spread": 1.1}], ids=str)
def test_each_parameter_of_vtc_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cost is one of"):
        VTC(**wrong)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_guess_may_be_exact_or_anything(spread: float) -> None:
    assert VTC(predict="oracle", spread=spread).by_request


def test_one_kind_of_token_may_be_free() -> None:
    assert (VTC(w_p=0.0).w_p, VTC(w_q=0.0).w_q) == (0.0, 0.0)
    with pytest.raises(ValueError, match="one of w_p, w_q must be above 0"):
        VTC(w_p=0.0, w_q=0.0)


def test_the_artifacts_table_of_clients() -> None:
    """Ten clients; a tenth of what is usual as system prompt is the system's, and the fourth pays fivefold."""
    expected, system_tokens, factors = zip(*CLIENT_TABLE, strict=True)
    assert [10 * tokens for tokens in system_tokens] == [lengths.system for lengths in expected]
    assert factors == (1, 1, 2, 5, 1, 1, 1, 1, 1, 1)
    assert [lengths.input for lengths in expected] == [50, 580, *[512] * 8]
    assert [lengths.output for lengths in expected] == [258, 258, *[512] * 8]


def test_a_refund_is_weighted_as_the_charge_was() -> None:
    vtc = VTC(w_q=1.0, weights={"a": 4.0}, predict="oracle")
    request = make_request(client="a", prompt=4, output=40)
    vtc.enqueue(request)
    vtc.on_admit(request, 0.0)
    assert vtc.counters["a"] == 11.0
    request.produced = 8
    vtc.enqueue(make_request(1, client="a"))
    vtc.on_finish(request, 1.0)
    assert vtc.counters["a"] == 3.0


def test_what_came_a_minute_ago_has_left_the_window() -> None:
    window = MinuteToLast()
    window.add("a", 0.0)
    window.add("a", WINDOW_S - 1e-6)
    assert window.count("a") == 2
    window.add("a", WINDOW_S)
    assert window.count("a") == 2


@pytest.mark.parametrize(("pool", "together"), [(61, True), (60, False)])
def test_slora_fits_below_the_pool_and_not_up_to_it(pool: int, together: bool) -> None:
    """Two requests of 10 + 20 tokens peak at 60."""
    requests = [make_request(i, prompt=10, output=20) for i in range(2)]
    serve(requests, SLoRA(adapter_tokens=0, longest_request=60), pool_tokens=pool)
    assert (requests[0].admitted_s == requests[1].admitted_s) is together


@pytest.mark.parametrize(("budget", "chunks"), [(60, 2), (59, 1)])
def test_a_prefill_fills_its_tokens_to_the_last(budget: int, chunks: int) -> None:
    served = serve([make_request(i, prompt=30, output=3) for i in range(2)], VLLM(max_batched_tokens=budget))
    assert len(served.seen[0].chunks) == chunks


def test_the_last_token_of_a_budget_begins_a_prefill() -> None:
    served = serve([make_request(i, prompt=30, output=3) for i in range(2)], Sarathi(token_budget=31))
    assert [tokens for *_, tokens in served.seen[0].chunks] == [30, 1]


def test_of_two_prefills_the_newer_gives_way() -> None:
    """One decodes, two are being prefilled in chunks; the pool runs out under the one that decodes."""
    first = make_request(0, prompt=16, output=64)
    older, newer = (make_request(i, prompt=64, output=4, arrival_s=0.02) for i in (1, 2))
    serve([first, older, newer], Sarathi(token_budget=20, watermark=0.0, block_size=16), pool_tokens=160)
    assert (older.preemptions, newer.preemptions) == (0, 1)


def records(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def test_a_share_is_of_the_clients_and_not_of_the_others() -> None:
    """Each of three asked for a third: nobody asks for less than an equal share."""
    served = {"prompt_tokens": 10, "output_tokens": 5, "status": "finished", "first_token_s": 0.5, "finished_s": 1.0}
    rows = [{"client": client, "arrival_s": second, **served} for client in "abc" for second in (0.0, 2.0)]
    assert modest_clients(records(rows)) == []
    rows[0]["prompt_tokens"] = 9
    assert modest_clients(records(rows)) == ["a"]


def test_a_call_that_was_admitted_at_the_same_time_overtakes_nobody() -> None:
    def call(client: str, number: int | None, arrival_s: float, admitted_s: float) -> dict[str, object]:
        return {"client": client, "interaction": 1, "call": number, "calls": 2, "arrival_s": arrival_s,
                "admitted_s": admitted_s, "status": "finished"}

    first = call("a", 1, 0.0, 0.0)
    assert delayed_clients_pct(records([first, call("a", 2, 1.0, 3.0), call("b", 1, 1.5, 3.0)])) == 0
    assert delayed_clients_pct(records([first, call("a", 2, 1.0, 3.0), call("b", 1, 1.5, 2.0)])) == 100


def test_a_counter_of_exactly_one_is_in_the_class_up_to_one() -> None:
    counters = pl.DataFrame({"counter": [0.0, 1.0, 1.0, 1.0001]})
    assert counter_classes(counters) == {"0": 1, "(0, 1]": 2, "> 1": 1}


def test_what_runs_is_in_order_of_admission_prefills_last() -> None:
    running = Running(FCFS(), BlockPool(1000, 16), SimulatedExecutor(COST, None, 0))
    decoding, older, newer = (make_request(i, produced=1 - min(i, 1), first_token_s=0.0) for i in range(3))
    running.batch.add(decoding)
    running.prefilling += [older, newer]
    assert running.admitted() == [decoding, older, newer]


def test_specinfer_verifies_every_node_that_was_drafted() -> None:
    trees = SpecInfer(branching=(1, 1)).select(chain(0.9, 0.0), make_progress([0.0], [0]))
    assert trees.selected.ravel().tolist() == [True, False]


def test_the_minute_from_the_first_arrival_is_never_forgotten() -> None:
    arrivals = MinuteToLast(from_first=True)
    arrivals.add("a", 0.0)
    arrivals.leave("a", 0.0)
    assert arrivals.add("b", 3 * WINDOW_S) == () and arrivals.count("a") == 1


def test_a_weight_of_nothing_is_allowed_beside_others() -> None:
    assert FairServe(w_s=0.0, w_q=0.0).rules.w_s == 0.0


def test_three_clients_exchange_as_often_as_each_may() -> None:
    policy, exchanged = ExFairS(alpha=1.0, max_exchanges=2), list[tuple[str, str]]()
    policy.exchange = lambda giver, receiver, *_: exchanged.append((giver, receiver))  # type: ignore[method-assign]
    policy.end_round({client: Tally(submitted=4, violations=bad) for client, bad in zip("abc", (0, 2, 4), strict=True)}, 1)
    assert exchanged == [("a", "c")] * 2


def test_drr_forgets_a_client_that_was_preempted() -> None:
    policy, request = DRR(quantum=100), make_request(prompt=10)
    policy.enqueue(request)
    policy.on_admit(request, 0.0)
    policy.requeue(request)
    request.preemptions = 1
    policy.on_admit(request, 0.0)
    policy.on_finish(request, 1.0)
    assert policy.credits == {}


def test_a_prefill_that_gets_no_token_of_a_budget_is_no_chunk() -> None:
    """Drafts of two rows take the whole budget while the third request is half read."""
    requests = [make_request(i, prompt=prompt, output=4) for i, prompt in enumerate((1, 1, 9))]
    served = serve(requests, Sarathi(token_budget=6), speculation=Chain(tokens=2))
    chunks = [tokens for step in served.seen for *_, tokens in step.chunks]
    assert any(step.decode and not step.chunks for step in served.seen[:2]) and 0 not in chunks and sum(chunks) == 11


def test_a_key_is_forgotten_exactly_a_minute_after_it_came_and_went() -> None:
    arrivals = MinuteToLast()
    arrivals.add("a", 0.0)
    arrivals.leave("a", 0.0)
    assert arrivals.add("b", WINDOW_S) == ["a"]


def test_a_ratio_costs_nothing_at_the_end_and_a_whole_nothing_before() -> None:
    charge = Ratio(of_client, TokenWeights(1.0, 1.0, 1.0))
    assert charge.on_finish(make_request(client="1")) == 0.0
    assert Whole(of_client, TokenWeights(1.0, 1.0, 1.0)).on_admit(make_request(client="1")) == (0.0, 0.0)


def test_vllm_gives_a_decode_room_for_one_token() -> None:
    """Two blocks; the first answer ends in the step before the second one needs a block more."""
    requests = [make_request(i, prompt=15, output=output) for i, output in enumerate((2, 3))]
    serve(requests, VLLM(watermark=0.0), pool_tokens=32)
    assert [request.preemptions for request in requests] == [0, 0]


def test_vllm_reads_2048_prompt_tokens_a_step() -> None:
    served = serve([make_request(i, prompt=1024, output=1) for i in range(3)], VLLM(), pool_tokens=8192)
    assert [len(step.chunks) for step in served.seen] == [2, 1]
    served = serve([make_request(0, prompt=1024, output=1), make_request(1, prompt=1025, output=1)], VLLM(), pool_tokens=8192)
    assert [len(step.chunks) for step in served.seen] == [1, 1]


def test_the_profiled_cost_is_the_artifacts_polynomial() -> None:
    assert profiled(100, 10) == pytest.approx(21.001891 + 1.0075395 + 3.9868 + 0.324733 + 1.14601454)


def test_the_last_call_of_an_interaction_does_not_go_on() -> None:
    calls = [make_request(call=call, calls=3, interaction=1) for call in (1, 2, 3)]
    assert [goes_on(request) for request in calls] == [True, True, False]
