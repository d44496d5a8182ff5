"""ExFairS: scores and exchanges by hand, rounds by events, and what holds for any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.vllm import VLLM
from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.fcfs import FCFS
from engine.ordering.mechanics.rounds import Tally
from engine.request import FINISHED, REJECTED, Request
from tests.engine.strategies import make_request, serve, workloads

Policy = ExFairS | ContinuousExFairS


def violated(*shares: float, service: Sequence[float] | None = None) -> dict[str, Tally]:
    """Clients a, b, ... with these shares of 100 submitted and decided requests violated."""
    services = service or [1.0] * len(shares)
    return {
        chr(ord("a") + i): Tally(100, 100, 100, round(100 * share), amount)
        for i, (share, amount) in enumerate(zip(shares, services, strict=True))
    }


@pytest.mark.parametrize(
    ("options", "ratios", "step"),
    [
        ({}, (0.425, 0.225), 2),
        ({"truncate": True}, (0.425, 0.225), 1),
        ({"normalize": "max"}, (0.45, 0.30), 1),
        ({"penalize_service": True}, (0.575, 0.075), 5),
    ],
)
def test_two_clients_by_hand(options: dict[str, Any], ratios: tuple[float, float], step: int) -> None:
    policy = ExFairS(**options)
    tallies = violated(0.5, 0.0, service=(1000, 3000))
    assert policy.ratios(tallies) == pytest.approx(dict(zip("ab", ratios, strict=True)))
    policy.end_round(tallies, 1)
    assert policy.priorities == {"a": -step, "b": step}
    assert policy.credits == {"a": -step, "b": step}


@pytest.mark.parametrize(
    ("shares", "truncate", "step"),
    [((0.1, 0.0), False, 0), ((0.4, 0.3), False, 0), ((0.4, 0.3), True, 1), ((0.11, 0.0), False, 1), ((0.9, 0.0), False, 5)],
)
def test_the_threshold_and_the_cap_of_a_gap(shares: tuple[float, float], truncate: bool, step: int) -> None:
    policy = ExFairS(alpha=1.0, truncate=truncate)
    policy.end_round(violated(*shares), 1)
    assert policy.exchanged == (step > 0)
    assert policy.priorities == ({"a": -step, "b": step} if step else {})


def test_pairs_go_from_the_outermost_inwards_to_the_first_narrow_one() -> None:
    policy = ExFairS(alpha=1.0)
    policy.end_round(violated(0.2, 0.8, 0.1, 0.25), 1)
    assert policy.exchanged == 1
    assert policy.priorities == {"c": 5, "b": -5}


def test_priorities_add_up_over_rounds() -> None:
    policy = ExFairS(alpha=1.0)
    for _ in range(3):
        policy.end_round(violated(0.5, 0.2), 1)
    assert policy.priorities == policy.credits == {"a": -9, "b": 9}


def test_one_client_or_none_exchanges_nothing() -> None:
    for policy in (ExFairS(), ContinuousExFairS()):
        policy.end_round({}, 7)
        policy.end_round(violated(1.0), 1)
        assert policy.exchanged == 0


@pytest.mark.parametrize(("normalize", "share"), [("sum", 0.5), ("max", 1.0)])
def test_without_any_service_all_shares_are_equal(normalize: str, share: float) -> None:
    policy = ExFairS(alpha=0.0, normalize=normalize)
    assert policy.ratios(violated(0.3, 0.9, service=(0, 0))) == {"a": share, "b": share}


def arrive(policy: Policy, id: int, client: str, now: float, **rest: Any) -> Request:
    request = make_request(id, client, arrival_s=now, **rest)
    assert policy.on_arrival(request, now) is None
    return request


def serve_next(policy: Policy, admitted: float, finished: float) -> Request:
    request = policy.next(admitted)
    assert request is not None
    policy.on_admit(request, admitted)
    request.status, request.produced = FINISHED, request.output_tokens
    policy.on_finish(request, finished)
    return request


def test_a_round_changes_later_insertions_only() -> None:
    policy = ExFairS(round_s=10.0, alpha=1.0)
    for i, client in enumerate("abba"):
        arrive(policy, i, client, 1.0, slo_s=5.0 if client == "a" else 99.0)
    serve_next(policy, 1.0, 9.0)
    assert policy.priorities == {"b": 0, "a": 0}
    policy.on_pass(10.0)
    assert policy.priorities == {"a": -5, "b": 5}
    arrive(policy, 4, "b", 11.0)
    arrive(policy, 5, "a", 11.0)
    arrive(policy, 6, "c", 11.0)
    assert [serve_next(policy, 12.0, 12.0).id for _ in range(6)] == [5, 1, 2, 3, 4, 6]


def test_a_request_that_waits_beyond_its_slo_makes_its_client_urgent() -> None:
    policy = ExFairS(round_s=10.0, alpha=1.0)
    arrive(policy, 0, "served", 0.0, slo_s=5.0)
    arrive(policy, 1, "waits", 0.0, slo_s=5.0)
    serve_next(policy, 0.0, 1.0)
    arrive(policy, 2, "served", 25.0)
    assert policy.priorities == {"waits": -5, "served": 5}
    assert policy.exchanged == 1


@pytest.mark.parametrize("form", [ExFairS, ContinuousExFairS])
def test_a_client_whose_requests_are_refused_becomes_urgent(form: type[Policy]) -> None:
    policy = form(round_s=10.0)
    arrive(policy, 0, "served", 0.0, slo_s=5.0)
    serve_next(policy, 0.0, 1.0)
    policy.on_refused(make_request(1, "refused", arrival_s=2.0, slo_s=5.0))
    policy.on_pass(10.0)
    assert policy.priorities["refused"] < 0 < policy.priorities["served"]


def test_a_refused_request_counts_in_the_round_of_its_arrival() -> None:
    policy = ExFairS(round_s=10.0, alpha=1.0)
    for id, now in enumerate((1.0, 11.0)):
        arrive(policy, id, "other", now, slo_s=5.0)
        serve_next(policy, now, now + 1.0)
    policy.on_refused(make_request(2, "refused", arrival_s=20.5))
    assert policy.exchanged == 0
    policy.on_pass(30.0)
    assert policy.exchanged == 0, "nobody else was there in that round"
    arrive(policy, 3, "other", 31.0)
    policy.on_refused(make_request(4, "refused", arrival_s=30.5))
    policy.on_pass(40.0)
    assert policy.priorities == {"refused": -5, "other": 5}


def test_the_engine_tells_of_requests_too_long_for_the_pool() -> None:
    requests = [
        make_request(i, client, prompt, arrival_s=0.2 * i, slo_s=9.0)
        for i, (client, prompt) in enumerate((("fits", 10), ("long", 900)) * 10)
    ]
    served = serve(requests, VLLM(), ExFairS(round_s=1.0, alpha=1.0), pool_tokens=512)
    policy = served.engine.ordering
    assert isinstance(policy, ExFairS) and [r.status for r in requests].count(REJECTED) == 10
    assert policy.priorities["long"] == -policy.priorities["fits"] < 0


def test_what_happens_after_the_end_of_a_round_counts_in_the_next_one() -> None:
    policy = ExFairS(round_s=10.0, alpha=1.0)
    arrive(policy, 0, "late", 1.0, slo_s=9.2)
    arrive(policy, 1, "other", 1.0)
    serve_next(policy, 2.0, 11.0)
    arrive(policy, 2, "other", 12.0)
    assert policy.exchanged == 0
    policy.on_pass(20.0)
    assert policy.priorities == {"late": -5, "other": 5}


@pytest.mark.parametrize(
    ("shares", "alpha"), [((1.0, 0.0), 0.9), ((0.5, 0.48), 0.75), ((0.6, 0.4), 0.8), ((0.5, 0.0), 0.9), ((1.0,), 0.8)]
)
def test_alpha_follows_the_inequality(shares: tuple[float, ...], alpha: float) -> None:
    policy = ContinuousExFairS()
    policy.end_round(violated(*shares), 1)
    assert policy.alpha == pytest.approx(alpha)


def test_alpha_stays_within_its_bounds() -> None:
    policy = ContinuousExFairS()
    for shares, bound in (((1.0, 0.0), 0.95), ((0.5, 0.5), 0.3)):
        for _ in range(20):
            policy.end_round(violated(*shares), 1)
        assert policy.alpha == bound


def test_a_continuous_exchange_by_hand() -> None:
    """Gap 0.4 moves 8, and 12 to one with more than half violated; a pair may repeat, up to half the clients' number."""
    policy = ContinuousExFairS(alpha=0.5, adaptive=False, max_exchanges=1)
    policy.end_round(violated(0.8, 0.0), 1)
    assert policy.priorities == policy.credits == {"a": -12, "b": 12}
    often = ContinuousExFairS(alpha=0.5, adaptive=False)
    often.end_round(violated(0.4, 0.0, 0.0, 0.0), 1)
    assert often.exchanged == 2 and often.priorities == {"a": -8, "b": 8}


def test_half_violated_is_not_more_than_half() -> None:
    policy = ContinuousExFairS(alpha=0.95, adaptive=False, max_exchanges=1, multiplier=1.0)
    policy.end_round(violated(0.5, 0.0), 1)
    assert policy.priorities == {"a": -9, "b": 9}


def test_a_window_of_the_artifact_is_ten_seconds() -> None:
    assert ContinuousExFairS().round_s == 10.0


def test_a_gap_of_nearly_one_moves_nineteen_and_half_as_many_again() -> None:
    policy = ContinuousExFairS(alpha=0.95, adaptive=False, max_exchanges=1, multiplier=1.0)
    policy.end_round(violated(1.0, 0.0), 1)
    assert policy.priorities == {"a": -28, "b": 28}


def test_continuous_priorities_are_bounded_and_fade_also_in_silence() -> None:
    policy = ContinuousExFairS(round_s=10.0, decay=0.5)
    for _ in range(9):
        policy.end_round(violated(1.0, 0.0), 1)
    assert policy.priorities == {"a": -50, "b": 50}
    assert policy.credits["b"] > 50
    policy.on_pass(30.0)
    assert policy.priorities == {"a": -6.25, "b": 6.25}


SCORES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 500)), min_size=2, max_size=8)


@given(SCORES, SCORES)
def test_alpha_one_sees_slos_only_and_alpha_zero_service_only(first: Any, second: Any) -> None:
    clients = range(min(len(first), len(second)))
    mixed = {str(i): Tally(20, 20, 20, first[i][0], second[i][1]) for i in clients}
    slo_only = {str(i): Tally(20, 20, 20, first[i][0], first[i][1]) for i in clients}
    service_only = {str(i): Tally(20, 20, 20, second[i][0], second[i][1]) for i in clients}
    assert ExFairS(alpha=1.0).ratios(mixed) == ExFairS(alpha=1.0).ratios(slo_only)
    assert ExFairS(alpha=0.0).ratios(mixed) == ExFairS(alpha=0.0).ratios(service_only)


EVENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 4), st.floats(0.1, 9), st.booleans()), max_size=60)


@settings(deadline=None)
@given(EVENTS, st.sampled_from([ExFairS, ContinuousExFairS]), st.sampled_from([3.0, 20.0, 1e9]))
def test_credits_always_sum_to_zero(events: Any, form: type[Policy], keep_s: float) -> None:
    policy, now = form(round_s=5.0, keep_s=keep_s), 0.0
    for i, (client, gap, slo_s, serves) in enumerate(events):
        now += gap
        arrive(policy, i, client, now, slo_s=slo_s)
        if serves:
            serve_next(policy, now, now)
        assert sum(policy.credits.values()) + policy.departed == 0


@given(st.integers(0, 100), st.integers(-6, 6), st.lists(st.integers(95, 105), min_size=2, max_size=2))
def test_clients_that_fared_almost_alike_exchange_nothing(share: int, more: int, service: list[int]) -> None:
    policy = ExFairS()
    other = min(max(share + more, 0), 100)
    policy.end_round(violated(share / 100, other / 100, service=service), 1)
    assert policy.exchanged == 0


@settings(deadline=None, max_examples=30)
@given(workloads(max_size=25), st.permutations("abc"), st.sampled_from([ExFairS, ContinuousExFairS]))
def test_names_decide_nothing(requests: list[Request], names: list[str], form: type[Policy]) -> None:
    renamed = dict(zip("abc", names, strict=True))
    records = []
    for name in (dict.fromkeys("abc"), renamed):
        fresh = [
            make_request(r.id, name[r.client] or r.client, r.prompt_tokens, r.output_tokens, arrival_s=r.arrival_s, slo_s=0.3)
            for r in requests
        ]
        records.append(serve(fresh, VLLM(max_sequences=2), form(round_s=0.2)).records())
    assert records[0] == records[1]


def overload() -> list[Request]:
    """A client with a tight SLO among three with loose ones, a fifth more than the server can do."""
    slo_s = {"tight": 3.0, "x": 30.0, "y": 30.0, "z": 30.0}
    clients = list(slo_s)
    return [make_request(i, clients[i % 4], output=10, arrival_s=0.05 * i, slo_s=slo_s[clients[i % 4]]) for i in range(600)]


@pytest.mark.parametrize("form", [ExFairS, ContinuousExFairS])
def test_a_client_that_misses_its_slo_is_helped(form: type[Policy]) -> None:
    missed = {}
    for policy in (form(round_s=2.0), FCFS()):
        served = serve(overload(), VLLM(max_sequences=2), policy)
        late = [r for r in served.requests if r.slo_s and (r.finished_s or 0) - r.arrival_s > r.slo_s]
        missed[type(policy)] = len(late)
    assert missed[form] < 0.7 * missed[FCFS]


@pytest.mark.parametrize(
    "wrong",
    [
        {"round_s": 0}, {"alpha": 1.1}, {"alpha": float("nan")}, {"threshold": -1}, {"sensitivity": -1}, {"multiplier": -1},
        {"max_exchanges": 0}, {"max_positions": -1}, {"keep_s": 0},
    ],
)
@pytest.mark.parametrize("form", [ExFairS, ContinuousExFairS])
def test_wrong_parameters_are_refused(form: type[Policy], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        form(**wrong)


@pytest.mark.parametrize("wrong", [{"cap": -1}, {"normalize": "mean"}])
def test_wrong_parameters_of_rounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ExFairS(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"bound": 0}, {"decay": 2}, {"alpha_min": 0.9}, {"alpha_max": 0.5}, {"amplifier": -1}, {"era_s": 0}]
)
def test_wrong_parameters_of_the_continuous_form_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ContinuousExFairS(**wrong)
