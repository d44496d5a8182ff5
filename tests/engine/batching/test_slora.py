"""S-LoRA's admission rules, one by one, and the fast peak against the plain one."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batch import Batch
from engine.batching.peak import PeakUse, peak_tokens
from engine.batching.slora import SLoRA
from engine.kv_cache import BlockPool
from engine.request import Request
from tests.engine.strategies import Seen, make_request, serve


def rhythm(seen: list[Seen]) -> list[int]:
    """Decode steps between prefills: before the first, between the first two, and so on, after the last."""
    counts = [0]
    for step in seen:
        if step.chunks:
            counts.append(0)
        else:
            counts[-1] += 1
    return counts


@pytest.mark.parametrize("between", [1, 4, 10])
def test_so_many_decode_steps_lie_between_two_admissions(between: int) -> None:
    arrivals = (0.0, 0.012, 0.013 + 0.0101 * between)
    requests = [make_request(i, output=40, arrival_s=arrival) for i, arrival in enumerate(arrivals)]
    served = serve(requests, SLoRA(decodes_between_admissions=between, late_arrivals=False))
    assert rhythm(served.seen)[:3] == [0, between, between]


def test_after_a_failed_admission_every_step_tries_again() -> None:
    requests = [make_request(0, prompt=50, output=16), make_request(1, prompt=60, output=20)]
    served = serve(requests, SLoRA(), pool_tokens=133)
    assert rhythm(served.seen) == [0, 15, 19]
    requests = [make_request(0, output=14), make_request(1, output=60), make_request(2, prompt=30, output=8)]
    served = serve(requests, SLoRA(), pool_tokens=104)
    assert rhythm(served.seen)[1] == 13


def test_an_admission_prefills_alone_and_whole() -> None:
    served = serve([make_request(i, prompt=10 + i) for i in range(3)], SLoRA())
    assert served.seen[0] == (0, False, ((0, 0, 10), (1, 0, 11), (2, 0, 12)), 0, None)
    assert all(step.decode and not step.chunks for step in served.seen[1:])


@pytest.mark.parametrize(("pool_tokens", "longest", "first"), [(1200, 30, 13), (1200, 250, 16), (600, 31, 6)])
def test_a_mini_batch_holds_a_sixth_of_the_pool_or_one_longest_request(
    pool_tokens: int, longest: int, first: int
) -> None:
    requests = [make_request(i, prompt=15, output=4) for i in range(20)]
    served = serve(requests, SLoRA(longest_request=longest, max_sequences=999), pool_tokens=pool_tokens)
    assert len(served.seen[0].chunks) == first


def test_each_client_present_reserves_an_adapter() -> None:
    def admitted(clients: str, adapter_tokens: int) -> int:
        requests = [make_request(i, client, prompt=20, output=10) for i, client in enumerate(clients)]
        return len(serve(requests, SLoRA(adapter_tokens=adapter_tokens), pool_tokens=101).seen[0].chunks)

    assert admitted("aaa", 8) == 3 and admitted("aab", 5) == 3
    assert admitted("aab", 8) == 2 and admitted("aba", 8) == 2
    assert admitted("abc", 8) == 2 and admitted("abc", 0) == 3


def test_the_head_of_the_line_holds_back_what_would_fit() -> None:
    big, small = make_request(1, prompt=60, output=30), make_request(2, prompt=1, output=2)
    served = serve([make_request(0, prompt=20, output=30), big, small], SLoRA(), pool_tokens=130)
    assert len(served.seen[0].chunks) == 1
    assert big.admitted_s == small.admitted_s == served.requests[0].finished_s


def test_no_more_than_max_sequences_run() -> None:
    served = serve([make_request(i) for i in range(7)], SLoRA(max_sequences=3))
    assert [step.rows for step in served.seen if step.decode] == [3] * 4 + [3] * 4 + [1] * 4


def test_a_late_arrival_is_seen_one_step_later() -> None:
    """Admission at every step: the newcomer enters at the first step that sees it."""

    def admitted(late_arrivals: bool) -> tuple[float, list[float]]:
        requests = [make_request(0, output=30), make_request(1, arrival_s=0.1)]
        served = serve(requests, SLoRA(decodes_between_admissions=0, late_arrivals=late_arrivals))
        assert requests[1].admitted_s is not None
        return requests[1].admitted_s, [step.start_s for step in served.log.steps]

    (at_once, starts), (late, _) = admitted(False), admitted(True)
    assert at_once == next(start for start in starts if start >= 0.1)
    assert late == pytest.approx(at_once + 0.010, rel=0.02)


@pytest.mark.parametrize(("poll_s", "admitted_s"), [(0.0, 3.014), (0.01, 3.02), (0.5, 3.5)])
def test_an_idle_engine_looks_up_every_poll(poll_s: float, admitted_s: float) -> None:
    request = make_request(arrival_s=3.014)
    serve([request], SLoRA(poll_s=poll_s))
    assert request.admitted_s == pytest.approx(admitted_s)


def test_what_can_never_run_is_refused() -> None:
    batching, pool = SLoRA(adapter_tokens=8, longest_request=60), BlockPool(200)
    assert batching.refuse(make_request(prompt=60, output=131), pool) is None
    assert "192 tokens and an adapter of 8" in str(batching.refuse(make_request(prompt=60, output=132), pool))
    assert "a prompt of 61 tokens is longer" in str(batching.refuse(make_request(prompt=61, output=2), pool))


def test_peak_by_hand() -> None:
    assert peak_tokens([], []) == 0
    assert peak_tokens([10], [5]) == 15
    assert peak_tokens([10, 20], [5, 1]) == max(5 + 10, 1 * 2 + 30)
    assert peak_tokens([10, 2, 3], [5, 4, 4]) == 4 * 3 + 15


RUNNING = st.tuples(st.integers(1, 50), st.integers(2, 60), st.integers(1, 59)).map(
    lambda row: make_request(prompt=row[0], output=row[1], produced=min(row[2], row[1] - 1), first_token_s=0.0)
)
WAITING = st.tuples(st.integers(1, 50), st.integers(1, 60), st.integers(0, 59)).map(
    lambda row: make_request(prompt=row[0], output=row[1], produced=min(row[2], row[1] - 1))
)
TICKS = st.integers(0, 30)


@settings(max_examples=150, deadline=None)
@given(st.lists(RUNNING, max_size=8), st.lists(st.tuples(WAITING, TICKS, st.integers(0, 2)), min_size=1, max_size=6))
def test_the_fast_peak_is_the_plain_one(running: list[Request], candidates: list[tuple[Request, int, int]]) -> None:
    """Ticks, finished rows and newcomers in between; the index is kept or rebuilt, the answer is the same."""
    batch, peak = Batch(), PeakUse()
    for request in running:
        batch.add(request)
    for candidate, ticks, counted in candidates:
        for _ in range(ticks):
            finished = batch.advance()
            if finished is not None and finished.size:
                batch.remove(finished)
        _assert_same_peak(batch, peak, candidate, counted)
        if candidate.output_tokens - candidate.generated > 1:
            candidate.produced, candidate.first_token_s = candidate.generated + 1, 0.0
            batch.add(candidate)


@settings(max_examples=150, deadline=None)
@given(st.lists(RUNNING, min_size=1, max_size=8), WAITING, st.integers(20, 300))
def test_the_step_is_known_at_which_a_request_will_fit(running: list[Request], candidate: Request, limit: int) -> None:
    batch, peak = Batch(), PeakUse()
    for request in running:
        batch.add(request)
    peak.follow(batch)
    most = batch.steps_to_end
    foreseen, tried = peak.steps_until(candidate, limit, most), []
    for _ in range(most):
        batch.advance()
        peak.follow(batch)
        tried.append(peak.with_request(candidate) < limit)
    assert foreseen == (tried.index(True) + 1 if True in tried else inf)


def _assert_same_peak(batch: Batch, peak: PeakUse, candidate: Request, counted: int) -> None:
    has, left = (batch.context + 1).tolist(), (batch.left - 1).tolist()
    peak.follow(batch)
    for place in range(1 + counted):
        has.append(candidate.prefill_tokens + 1)
        left.append(candidate.output_tokens - candidate.generated - 1)
        assert peak.with_request(candidate) == peak_tokens(has, left)
        if place < counted:
            peak.add(candidate)
