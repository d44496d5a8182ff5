"""Where requests go and when they move, against numbers that follow from dLoRA's artifact."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.placement import PLACEMENTS
from engine.placement.base import fewest_requests
from engine.placement.by_cost import batches
from engine.placement.hosting import Hosting
from engine.placement.ilp import FEW, _solved, solve
from engine.placement.least_cost import LeastCost
from engine.placement.migrating import Migrating, choose_pair
from engine.placement.pair import Pair, greedy
from engine.placement.proactive import Proactive
from engine.request import Request
from tests.engine.strategies import make_request


@dataclass
class Still:
    """A replica that serves nobody."""

    number: int
    adapters: str = ""
    capacity: int = 1000
    here: list[Request] = field(default_factory=list)

    def __post_init__(self):
        self.here += [make_request(100 * self.number + i, adapter=name) for i, name in enumerate(self.adapters)]

    @property
    def counts(self):
        return Counter(request.adapter for request in self.here)

    def requests(self):
        return self.here

    def blocks(self, request):
        return request.prefill_tokens


def still(*adapters: str) -> list[Still]:
    return [Still(number, there) for number, there in enumerate(adapters)]


def pair(adapters: str, source: list[int], capacity=(1, 1), pool=(10_000, 10_000), run_s=5.0) -> Pair:
    names = sorted(set(adapters))
    return Pair(
        np.array([names.index(name) for name in adapters]), np.array(source), np.full(len(adapters), 10),
        np.full(len(names), run_s), capacity, pool, blocks_per_s=4096.0,
    )


def test_full_batches_of_an_adapter_are_cheaper_than_what_is_left():
    assert batches({"a": 40, "b": 10, "c": 7}) == pytest.approx(2.2)


def test_migration_begins_where_a_replica_exceeds_the_mean_by_a_batch():
    chosen = choose_pair(still("a" * 50, "a" * 10, "a" * 10, "a" * 10))
    assert chosen is not None and [there.number for there in chosen] == [0, 1]
    assert choose_pair(still("a" * 25, "a" * 15, "a" * 20, "a" * 20)) is None


def test_migration_begins_where_a_kv_cache_is_nearly_full():
    replicas = still("a" * 10, "a" * 10, "a")
    replicas[1].capacity = 110
    chosen = choose_pair(replicas)
    assert chosen is not None and [there.number for there in chosen] == [1, 2]


def test_two_replicas_share_four_equal_requests_evenly():
    four = pair("aaaa", [0, 0, 0, 0])
    target = solve(four, nodes=200)
    assert target.sum() == 2 and four.finish_s(target) == pytest.approx(10.1)
    assert four.finish_s(greedy(four)) == pytest.approx(10.1)


def test_alike_requests_are_counted_together():
    """Taken one by one, and their shares rounded, none of them would move: each is half here and half there."""
    many = pair("a" * 40, [0] * 40)
    assert solve(many, nodes=200).sum() == 20
    assert solve(many, nodes=200)[20:].all()


def brute_force(of: Pair) -> float:
    n = len(of.adapter)
    targets = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.int64)
    return min(of.finish_s(target) for target in targets if of.fits(target))


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="abc", min_size=1, max_size=8), st.randoms(use_true_random=False), st.sampled_from(((3, 3), (2, 2))))
def test_the_program_finds_the_best_of_all_divisions(adapters, random, capacity):
    """Capacities are at least what is there already, as those of the hosting are."""
    source = [random.randrange(2) for _ in adapters]
    there = [len({name for name, where in zip(adapters, source, strict=True) if where == side}) for side in (0, 1)]
    small = pair(adapters, source, (max(capacity[0], there[0]), max(capacity[1], there[1])), run_s=1.0)
    target = solve(small, nodes=1000)
    assert small.fits(target) and small.finish_s(target) <= brute_force(small) + 1e-6 + 1e-3 * brute_force(small)


@settings(max_examples=15, deadline=None)
@given(st.integers(FEW + 1, 120), st.integers(1, 6), st.integers(0, 1000))
def test_many_requests_are_shared_out_the_same_again(n, k, seed):
    rng = np.random.default_rng(seed)
    adapter = np.append(np.arange(k), rng.integers(0, k, n))
    source = np.where(rng.random(n + k) < 0.8, 0, 1)
    capacity = tuple(max(len(np.unique(adapter[source == side])), 1) for side in (0, 1))
    many = Pair(adapter, source, rng.integers(1, 100, n + k), rng.uniform(1, 9, k), capacity, (2000, 2000), 4096.0)
    target = solve(many, nodes=50)
    assert many.fits(target) and many.finish_s(target) <= many.finish_s(source)
    assert (target == solve(many, nodes=50)).all()


def test_without_an_answer_of_the_solver_the_greedy_one_stands(monkeypatch):
    twelve = pair("ab" * 6, [0] * 12, capacity=(2, 2))
    monkeypatch.setattr("engine.placement.ilp._solved", lambda *_: None)
    assert twelve.finish_s(solve(twelve, nodes=1)) == pytest.approx(twelve.finish_s(greedy(twelve)))
    assert _solved(twelve, nodes=200, seconds=10.0) is not None


def test_the_first_of_the_cheapest_hosts_is_chosen():
    policy = LeastCost(replicas=3)
    assert [len(there) for there in policy.begin(["a", "b", "c"], room=10)] == [2, 2, 1]
    replicas = still("a" * 32, "", "")
    policy.hosting.of[:] = [dict.fromkeys("a"), dict.fromkeys("b"), dict.fromkeys("a")]
    assert policy.dispatch(make_request(adapter="a"), replicas) == 2
    assert policy.dispatch(make_request(adapter="x"), replicas) == fewest_requests(replicas).number == 1


def test_an_adapter_that_nobody_wants_and_that_is_elsewhere_too_makes_room():
    policy = Proactive(replicas=2)
    policy.begin(["a", "b", "c"], room=10)
    policy.hosting.of[:] = [dict.fromkeys("ab"), dict.fromkeys("bc")]
    replicas = still("a" * 32, "c")
    assert policy.dispatch(make_request(adapter="a"), replicas) == 1
    assert [sorted(there) for there in policy.hosting.of] == [["a", "b"], ["a", "c"]]


@given(st.integers(1, 6), st.integers(1, 12), st.integers(3, 20))
def test_every_adapter_has_a_replica_and_the_tolerance_never_falls(replicas, adapters, room):
    hosting = Hosting([f"{number:02}" for number in range(adapters)], replicas, room)
    if adapters > replicas * room:
        return
    hosting.fill()
    assert all(hosting.hosts(name) for name in hosting.popularity)
    assert max(map(len, hosting.of)) - min(map(len, hosting.of)) <= 1
    hosting.spread(list(hosting.popularity))
    assert hosting.copies() >= min(replicas + adapters - 1, replicas * adapters)


def test_one_adapter_is_everywhere_with_dlora():
    hosted = Migrating(replicas=4, seed=3).begin(["a", "b", "c", "d"], room=10)
    assert sum(all(name in there for there in hosted) for name in "abcd") == 1
    assert sum(map(len, hosted)) == 4 + 4 - 1


def test_requests_move_with_their_adapter():
    policy = Migrating(replicas=2)
    policy.begin(["a", "b"], room=10)
    replicas = still("a" * 40 + "b" * 10, "")
    moves = policy.rebalance(replicas)
    assert 20 <= len(moves) <= 30 and {move.target for move in moves} == {1}
    assert {move.request.adapter for move in moves} <= {name for name in policy.hosting.of[1]}
    assert policy.facts()["moved"] == len(moves)


@pytest.mark.parametrize("name", [name for name, make in PLACEMENTS.items() if make])
def test_a_wrong_number_of_replicas_is_refused(name):
    make = PLACEMENTS[name]
    assert make is not None
    with pytest.raises(ValueError, match="replicas must be at least 1"):
        make(replicas=0)
    with pytest.raises(ValueError, match="write 0@20 for the first after 20 s"):
        make(replicas=2, fails="7@3")


def test_a_pair_without_room_for_both_adapters_keeps_them_apart():
    apart = replace(pair("aabb", [0, 0, 1, 1]), run_s=np.array([1.0, 9.0]))
    assert (solve(apart, nodes=200) == apart.source).all()
