"""Round-robin, Justitia, SLO-greedy, QuE, priority, VTC of the artifact and MLFQ, by hand and against plain searches."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ordering.justitia import Justitia
from engine.ordering.mechanics.rounds import Tally
from engine.ordering.mlfq import MLFQ
from engine.ordering.priority import Priority
from engine.ordering.que import QuE
from engine.ordering.round_robin import RoundRobin
from engine.ordering.slo_greedy import SLOGreedy
from engine.ordering.vtc_artifact import VTCArtifact
from engine.request import FAILED, FINISHED, Request
from tests.engine.ordering.queues import admit_next, finish, order
from tests.engine.strategies import make_request


def test_round_robin_goes_by_name_and_skips_who_does_not_wait() -> None:
    policy = RoundRobin()
    for i, client in enumerate("ccabab"):
        policy.enqueue(make_request(i, client))
    assert [admit_next(policy).client for _ in range(2)] == ["a", "b"]
    policy.enqueue(make_request(6, "aa"))
    policy.enqueue(make_request(7, "bb"))
    assert [admit_next(policy).client for _ in range(6)] == ["bb", "c", "a", "aa", "b", "c"]


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "serve", "serve", "back"]), max_size=60))
def test_round_robin_is_the_cyclic_successor_in_the_sorted_names(events: list[str]) -> None:
    policy, lines, last, running = RoundRobin(), dict[str, list[Request]](), "", list[Request]()
    for i, event in enumerate(events):
        if event == "serve":
            waiting = sorted(client for client in lines if lines[client])
            if not waiting:
                assert policy.next(0.0) is None
                continue
            last = next((client for client in waiting if client > last), waiting[0])
            running.append(admit_next(policy))
            assert running[-1] is lines[last].pop(0)
        elif event == "back" and running:
            request = running.pop()
            policy.requeue(request)
            lines[request.client].insert(0, request)
        elif event != "back":
            request = make_request(i, event)
            policy.enqueue(request)
            lines.setdefault(event, []).append(request)
        assert len(policy) == sum(map(len, lines.values()))


class Name(str):
    """A name that counts its comparisons."""

    compared = 0

    def __lt__(self, other: str) -> bool:
        Name.compared += 1
        return super().__lt__(other)

    __hash__ = str.__hash__


def test_round_robin_decides_in_the_logarithm_of_the_clients() -> None:
    policy, clients = RoundRobin(), 10_000
    for i in range(2 * clients):
        policy.enqueue(make_request(i, Name(f"{7919 * i % clients:05}"), prompt=1))
    Name.compared = 0
    served = [admit_next(policy).client for _ in range(2 * clients)]
    assert served == sorted(served[:clients]) * 2
    assert Name.compared < 2 * clients * 2 * log2(clients)


def test_justitia_adds_the_share_of_memory_and_the_cost() -> None:
    policy = Justitia(memory=1000.0, max_output=10)
    for i, prompt in enumerate((30, 20, 20)):
        policy.enqueue(make_request(i, prompt=prompt))
    assert policy.rank(make_request(prompt=20)) == 1000 + 200 + 50
    assert [admit_next(policy).id for _ in range(2)] == [1, 2]
    assert policy.rank(make_request(prompt=20)) == 500 + 250
    policy.enqueue(make_request(3, prompt=75))
    assert order(policy) == [3, 0]
    policy.requeue(make_request(4))
    assert policy.running == 3
    finish(policy, make_request(5))
    assert policy.running == 2


def test_slo_greedy_serves_first_whose_requests_fail() -> None:
    policy = SLOGreedy()
    for client, failures in (("good", 1), ("bad", 7)):
        for i in range(10):
            finish(policy, make_request(i, client), status=FAILED if i < failures else FINISHED)
    for i in range(9):
        finish(policy, make_request(i, "new"), status=FAILED)
    for i, client in enumerate(("good", "new", "unseen", "bad")):
        policy.enqueue(make_request(i, client))
    assert order(policy) == [3, 1, 2, 0]


@pytest.mark.parametrize(("count_late", "rank"), [(False, 0.0), (True, -1.0)])
def test_whether_slo_greedy_counts_late_answers(count_late: bool, rank: float) -> None:
    policy = SLOGreedy(count_late)
    for i in range(10):
        finish(policy, make_request(i, slo_s=1.0), now=2.0)
    assert policy.rank(make_request()) == rank


def test_slo_greedy_counts_refused_requests_as_failed() -> None:
    policy = SLOGreedy()
    for i in range(10):
        policy.on_refused(make_request(i, arrival_s=float(i)))
    assert policy.rank(make_request()) == -1.0


TALLIES = {
    "fast": Tally(2, completed=2, service=100, latency_s=2.0, speed=40.0),
    "slow": Tally(2, completed=1, service=400, latency_s=5.0, speed=10.0),
    "between": Tally(2, completed=2, service=250, latency_s=6.0, speed=30.0),
    "none": Tally(2),
}


def test_que_helps_the_client_with_the_least_quality() -> None:
    policy = QuE()
    policy.end_round(TALLIES, 1)
    assert policy.qualities({name: TALLIES[name] for name in ("fast", "slow", "between")}) == pytest.approx(
        {"fast": 1.0, "slow": 0.0, "between": 0.5}
    )
    assert policy.priorities == pytest.approx({"slow": -0.5})


def test_que_with_the_signs_of_the_artifact_moves_the_one_that_fared_best_back() -> None:
    """0.3 - 0.4 - 0.3, 0 and 0.15 - 0.2 - 0.15: the least is the fast one's, 0.2 below the mean of -0.2."""
    policy = QuE(artifact_signs=True)
    policy.end_round(TALLIES, 1)
    assert policy.priorities == pytest.approx({"fast": 0.2})


def test_que_without_a_difference_or_a_second_client_changes_nothing() -> None:
    for tallies in ({name: TALLIES["fast"] for name in "abc"}, {"a": TALLIES["fast"], "b": TALLIES["none"]}, {}):
        policy = QuE()
        policy.end_round(tallies, 1)
        assert all(priority == 0 for priority in policy.priorities.values())


def test_priority_serves_the_smallest_level_in_order_of_arrival() -> None:
    policy = Priority("a:2;b:-1.5", default=1)
    for i, client in enumerate("aabcbb"):
        policy.enqueue(make_request(i, client))
    assert order(policy) == [2, 4, 5, 3, 0, 1]


def test_priority_by_category_and_a_preempted_request_behind_better_levels() -> None:
    policy = Priority({"x": 0, "y": 1}, by="category", default=2)
    for i, category in enumerate(("y", "y", None)):
        policy.enqueue(make_request(i, category=category))
    preempted = admit_next(policy)
    policy.enqueue(make_request(3, category="x"))
    policy.requeue(preempted)
    assert order(policy) == [3, 0, 1, 2]


def test_the_artifacts_vtc_counts_completed_tokens_unweighted_and_ties_by_arrival() -> None:
    policy = VTCArtifact(round_s=10.0)
    for i, client in enumerate("aabb"):
        policy.on_arrival(make_request(i, client, prompt=10, output=5, arrival_s=float(i)), float(i))
    first = admit_next(policy)
    assert first.id == 0 and admit_next(policy).id == 1
    policy.requeue(make_request(1, "a", arrival_s=1.0))
    finish(policy, first, now=5.0)
    assert policy.used == {"a": 15}
    assert [policy.next(5.0), policy.next(5.0)] == [policy.next(5.0)] * 2 and order(policy) == [2, 3, 1]


def test_the_artifacts_vtc_forgets_at_the_end_of_a_round() -> None:
    policy = VTCArtifact(round_s=10.0)
    for i, client in enumerate("aab"):
        policy.on_arrival(make_request(i, client, arrival_s=float(i)), float(i))
    finish(policy, admit_next(policy), now=9.0)
    head = policy.next(9.0)
    assert head is not None and head.client == "b"
    policy.on_pass(10.0)
    head = policy.next(10.0)
    assert policy.used == {} and head is not None and head.client == "a"


EVENTS = st.lists(st.tuples(st.sampled_from(["arrive", "arrive", "admit", "end", "back", "time"]), st.sampled_from("abcd"),
                            st.integers(1, 30)), max_size=60)


@settings(deadline=None)
@given(EVENTS)
def test_the_artifacts_vtc_finds_what_a_plain_search_finds(events: list[tuple[str, str, int]]) -> None:
    policy, waiting, running, used, now = VTCArtifact(round_s=10.0), list[Request](), list[Request](), dict[str, int](), 0.0
    for i, (event, client, amount) in enumerate(events):
        if event == "arrive":
            waiting.append(make_request(i, client, prompt=amount, arrival_s=now))
            policy.on_arrival(waiting[-1], now)
        elif event == "admit" and waiting:
            running.append(min(waiting, key=lambda r: (used.get(r.client, 0), r.arrival_s, r.id)))
            waiting.remove(running[-1])
            assert admit_next(policy, now) is running[-1]
        elif event == "end" and running:
            request = running.pop(0)
            finish(policy, request, now)
            used[request.client] = used.get(request.client, 0) + request.prompt_tokens + request.output_tokens
        elif event == "back" and running:
            waiting.append(running.pop())
            policy.requeue(waiting[-1])
        elif event == "time":
            used = {} if (now + amount) // 10 > now // 10 else used
            now += amount
            policy.on_pass(now)
        assert policy.used == used and len(policy) == len(waiting)


def test_mlfq_joins_at_the_first_quantum_that_covers_the_prefill() -> None:
    policy = MLFQ(quantum=1.0, levels=4, prompt_weight=0.01)
    assert [policy.rank(make_request(prompt=prompt)) for prompt in (1, 100, 101, 200, 400, 401, 9000)] == [0, 0, 1, 1, 2, 3, 3]
    for i, prompt in enumerate((300, 50, 150, 60)):
        policy.enqueue(make_request(i, prompt=prompt))
    assert order(policy) == [1, 3, 2, 0]


@pytest.mark.parametrize(("generated", "level"), [(1, 0), (2, 1), (5, 1), (6, 2), (13, 2), (14, 3), (1000, 3)])
def test_mlfq_sinks_as_quanta_double(generated: int, level: int) -> None:
    policy = MLFQ(quantum=2.0, levels=4, prompt_weight=0.0)
    request = make_request(output=2000)
    request.produced = generated
    assert policy.level(request) == level


def test_mlfq_puts_a_preempted_request_at_the_head_of_the_level_it_sank_to() -> None:
    policy = MLFQ(quantum=1.0, prompt_weight=0.01)
    for i, prompt in enumerate((10, 300, 700)):
        policy.enqueue(make_request(i, prompt=prompt, output=50))
    preempted = admit_next(policy)
    preempted.produced = 6
    policy.requeue(preempted)
    assert policy.level(preempted) == 2 and order(policy) == [0, 1, 2]


def test_mlfq_promotes_who_waited_too_long_and_counts_anew() -> None:
    policy = MLFQ(quantum=1.0, prompt_weight=0.01, starvation_s=5.0)
    long = make_request(0, prompt=5000, output=50)
    policy.on_arrival(long, 0.0)
    for i in (1, 2):
        policy.on_arrival(make_request(i, prompt=10), 4.0)
    policy.on_pass(4.9)
    assert admit_next(policy).id == 1
    policy.on_pass(5.0)
    policy.on_arrival(make_request(3, prompt=10), 5.0)
    assert [admit_next(policy).id for _ in range(2)] == [2, 0]
    assert policy.level(long) == 0
    long.produced = 4
    assert policy.level(long) == 2
