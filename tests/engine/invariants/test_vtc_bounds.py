"""VTC's guarantees (Sheng et al., OSDI 2024, section 4), in tokens, so that they hold on any clock.

M, the tokens of a batch, counts what requests that run together have in the end; see
``test_answers_that_end_at_different_times_exceed_the_bound_of_the_pool`` for why the pool is not enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from engine.ordering.base import Ordering
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.request import Request
from exps.metrics.service import largest_backlogged_change
from tests.engine.invariants.history import W_Q, Bools, Floats, History, most_together, stretches, unit
from tests.engine.invariants.orders import ORDERS, make_order
from tests.engine.invariants.stages import Stage, by_peak
from tests.engine.invariants.traffic import CLIENTS, crowd, traffic

WEIGHTS = dict(zip(CLIENTS, (1.0, 2.0, 3.5), strict=True))
BUSY = traffic(min_size=20, max_size=70, max_prompt=8, max_output=6, max_gap_s=0.01)
POOLS = st.integers(20, 60)
SHAPES = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=2, max_size=3)


class WatchedVTC(VTC):
    """Remembers how far the counters of waiting clients ever were apart."""

    def __init__(self, **parameters: Any):
        super().__init__(**parameters)
        self.spread = 0.0
        self._waiting: Counter[str] = Counter()

    def enqueue(self, request: Request) -> None:
        super().enqueue(request)
        self._waiting[request.client] += 1
        self._watch()

    def on_admit(self, request: Request, now: float) -> None:
        super().on_admit(request, now)
        self._waiting[request.client] -= 1
        self._watch()

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        super().on_tokens(by_client, first, finished)
        self._watch()

    def _watch(self) -> None:
        counters = [self.counters[client] for client in +self._waiting]
        self.spread = max(self.spread, max(counters, default=0.0) - min(counters, default=0.0))


def unit_of(history: History) -> float:
    return unit(history.requests, most_together(history.requests))


def largest_change(lead: Floats, mask: Bools) -> float:
    """The most that ``lead`` moved while ``mask`` held."""
    return max((float(np.ptp(lead[stretch])) for stretch in stretches(mask)), default=0.0)


def largest_rise(lead: Floats, mask: Bools) -> float:
    """The most that ``lead`` rose while ``mask`` held."""
    rises = (lead[stretch] - np.minimum.accumulate(lead[stretch]) for stretch in stretches(mask))
    return max((float(rise.max()) for rise in rises), default=0.0)


def largest_gap(history: History, weights: Mapping[str, float] = {}) -> float:
    """The most that two clients' service, over their weights, moved apart while both were backlogged."""
    gaps = [0.0]
    for f, g in combinations(history.clients, 2):
        lead = history.service(f) / weights.get(f, 1.0) - history.service(g) / weights.get(g, 1.0)
        gaps.append(largest_change(lead, history.backlogged(f) & history.backlogged(g)))
    return max(gaps)


def test_counters_of_waiting_clients_are_never_further_apart_than_u(stage: Stage) -> None:
    """Lemma 4.3."""

    def check(requests: list[Request], pool_tokens: int, decodes: int) -> None:
        vtc = WatchedVTC()
        assert vtc.spread <= unit_of(stage.serve(requests, vtc, pool_tokens, by_peak(decodes)))

    stage.holds(100, check, BUSY, POOLS, st.integers(0, 10))


def test_backlogged_clients_are_never_further_apart_than_2u(stage: Stage) -> None:
    """Theorem 4.4."""

    def check(requests: list[Request], pool_tokens: int, decodes: int) -> None:
        history = stage.serve(requests, VTC(), pool_tokens, by_peak(decodes))
        assert largest_gap(history) <= 2 * unit_of(history)

    stage.holds(100, check, BUSY, POOLS, st.integers(0, 10))


def test_clients_that_always_ask_for_the_same_stay_within_the_bound_of_the_pool(stage: Stage) -> None:
    """Theorem 4.4 with M the pool, as the figures use it: one length of prompts and of answers for each client."""

    def check(shapes: list[tuple[int, int]], pool_tokens: int) -> None:
        rows = [(client, *shape) for client, shape in zip(CLIENTS, shapes, strict=False)]
        history = stage.serve(crowd(rows, each=40), VTC(), pool_tokens)
        assert largest_gap(history) <= 2 * unit(history.requests, pool_tokens)

    stage.holds(40, check, SHAPES, POOLS)


@pytest.mark.parametrize(("order", "bounded"), [(VTC, True), (partial(VTC, lift=False), False)])
def test_a_client_that_stayed_away_has_saved_nothing(stage: Stage, order: Callable[[], Ordering], bounded: bool) -> None:
    late = crowd([("b", 4, 6)], each=60, first=120)
    history = stage.serve(crowd([("a", 4, 6)], each=120), order(), pool_tokens=60, late=late, after=60)
    assert (largest_gap(history) <= 2 * unit(history.requests, 60)) is bounded


def test_the_metric_of_the_figures_measures_the_same_gap(stage: Stage) -> None:
    def check(clients: list[tuple[str, int, int]], pool_tokens: int) -> None:
        history = stage.serve(crowd(clients), VTC(), pool_tokens)
        measured = largest_backlogged_change(*history.frames(), until_s=np.inf, clients=history.clients)
        assert measured == pytest.approx(largest_gap(history), abs=1e-3)

    row = st.tuples(st.sampled_from(CLIENTS), st.integers(1, 40), st.integers(1, 20))
    stage.holds(30, check, st.lists(row, min_size=10, max_size=40), st.integers(61, 200))


def test_weighted_shares_stay_within_2u_over_the_least_weight(stage: Stage) -> None:
    def check(requests: list[Request], pool_tokens: int) -> None:
        vtc = WatchedVTC(weights=WEIGHTS)
        history = stage.serve(requests, vtc, pool_tokens)
        most = unit_of(history) / min(WEIGHTS.values())
        assert vtc.spread <= most
        assert largest_gap(history, WEIGHTS) <= 2 * most

    stage.holds(60, check, BUSY, POOLS)


def test_weights_of_a_long_backlog_are_its_shares(stage: Stage) -> None:
    history = stage.serve(crowd([(client, 10, 6) for client in WEIGHTS], each=60), VTC(weights=WEIGHTS), pool_tokens=100)
    contended = int(np.flatnonzero(np.all([history.backlogged(client) for client in WEIGHTS], axis=0))[-1])
    service = {client: history.service(client)[contended + 1] for client in WEIGHTS}
    for client, weight in WEIGHTS.items():
        assert service[client] / sum(service.values()) == pytest.approx(weight / sum(WEIGHTS.values()), rel=0.25)


def test_a_backlogged_client_gets_at_most_4u_less_than_any_other(stage: Stage) -> None:
    """Theorem 4.9."""

    def check(requests: list[Request], pool_tokens: int) -> None:
        history = stage.serve(requests, VTC(), pool_tokens)
        for f, g in permutations(history.clients, 2):
            assert largest_rise(history.service(g) - history.service(f), history.backlogged(f)) <= 4 * unit_of(history)

    stage.holds(60, check, BUSY, POOLS)


@pytest.mark.parametrize(("order", "bounded"), [(VTC, True), (FCFS, False)])
def test_first_come_first_served_breaks_2u_and_4u(stage: Stage, order: Callable[[], Ordering], bounded: bool) -> None:
    history = stage.serve(crowd([("a", 4, 6), ("b", 4, 6)], each=70), order(), pool_tokens=60)
    starved = largest_rise(history.service("a") - history.service("b"), history.backlogged("b"))
    assert (largest_gap(history) <= 2 * unit_of(history)) is bounded
    assert (starved <= 4 * unit_of(history)) is bounded


@pytest.mark.parametrize("order", ORDERS)
def test_no_policy_that_neither_idles_nor_preempts_is_better_than_w_q_m(stage: Stage, order: str) -> None:
    """Theorem 4.8: a client that comes when another has just filled the pool waits for all of its answers."""
    together, output = 7, 60
    pool_tokens = together * (1 + output) + 3
    full = crowd([("a", 1, output)], each=together + 3)
    late = crowd([("b", 1, output)], each=3, first=len(full))
    history = stage.serve(full, make_order(order), pool_tokens, by_peak(0), late)
    assert largest_gap(history) >= 0.9 * W_Q * pool_tokens


def test_answers_that_end_at_different_times_exceed_the_bound_of_the_pool(stage: Stage) -> None:
    """Theorem 4.4 fails with M the pool: the room of answers that ended is promised to the longer ones.

    Requests of pool / k tokens, k = 1, 2, .., fit together by their peak and produce pool * (1 + 1/2 + ..) tokens, while a
    client that asks for the whole pool waits.
    """
    pool_tokens = 200
    fit_together = [("a", 1, pool_tokens // k - 2) for k in range(1, 13)]
    full = crowd([*fit_together, ("a", 1, pool_tokens - 2)])
    late = crowd([("b", 1, pool_tokens - 2)], each=2, first=len(full))
    history = stage.serve(full, VTC(), pool_tokens, late=late)
    assert 2 * unit(history.requests, pool_tokens) < largest_gap(history) <= 2 * unit_of(history)


def others_meanwhile(history: History, newcomer: Request) -> tuple[float, float]:
    """Service of all other clients from when the engine saw a request until it was admitted, and the seconds."""
    starts_s = history.starts_s()
    assert newcomer.admitted_s is not None
    seen, admitted = np.searchsorted(starts_s, [newcomer.arrival_s, newcomer.admitted_s])
    others = sum(history.service(client) for client in history.clients if client != newcomer.client)
    curve = np.broadcast_to(others, len(starts_s) + 1)
    return float(curve[admitted] - curve[seen]), float(starts_s[admitted] - starts_s[seen])


def newcomers(requests: list[Request]) -> list[Request]:
    """Requests whose client had neither a waiting nor a running one when they came."""
    return [
        request
        for request in requests
        if all(before.finished_s is not None and before.finished_s <= request.arrival_s
               for before in requests if before.client == request.client and before.id < request.id)
    ]


def slowest(history: History) -> float:
    """The least service a second of any step, up to the next one."""
    service = np.diff(np.sum([history.service(client) for client in history.clients], axis=0))
    ends_s = np.append(history.starts_s()[1:], history.steps[-1].end_s)
    return float((service / (ends_s - history.starts_s())).min())


def test_a_client_that_comes_back_is_dispatched_before_each_other_has_had_2u(stage: Stage) -> None:
    """Theorem 4.11: within 2(n - 1)U / a."""

    def check(requests: list[Request], pool_tokens: int) -> None:
        history = stage.serve(requests, VTC(), pool_tokens)
        most = 2 * (len(history.clients) - 1) * unit_of(history)
        a = slowest(history)
        for request in newcomers(history.requests):
            service, waited_s = others_meanwhile(history, request)
            assert service <= most and waited_s <= most / a

    stage.holds(60, check, BUSY, POOLS)


@pytest.mark.parametrize(("order", "bounded"), [(VTC, True), (FCFS, False)])
def test_the_dispatch_bound_tells_vtc_from_first_come_first_served(
    stage: Stage, order: Callable[[], Ordering], bounded: bool
) -> None:
    late = crowd([("b", 4, 6)], first=70)
    history = stage.serve(crowd([("a", 4, 6)], each=70), order(), pool_tokens=60, late=late)
    service, _ = others_meanwhile(history, history.requests[-1])
    assert (service <= 2 * unit_of(history)) is bounded
