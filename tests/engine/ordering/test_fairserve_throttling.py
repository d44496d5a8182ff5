"""FairServe's limits, drops and debts by hand, hook by hook."""

from __future__ import annotations

import pytest

from engine.ordering.fairserve import FairServe
from engine.ordering.mechanics.interactions import MEMORY_S
from tests.engine.ordering.hooks import admit, arrive, block, call, dropped, finish, head, preempt


def test_on_overload_the_first_call_of_a_client_over_its_limit_is_dropped_with_all_that_follow() -> None:
    policy = FairServe(limit=2)
    arrive(policy, call(0, call=1, calls=3), call(1, call=2, calls=3), call(2, interaction=2), call(3, "b"))
    assert block(policy) == [(0, "client a sent 3 requests within a minute, and its limit is 2")]
    assert head(policy).id == 2
    assert dropped(policy) == [(1, "an earlier call of interaction 1 was given up")]
    arrive(policy, call(4, call=3, calls=3))
    assert [admit(policy).id, admit(policy).id] == [2, 3]
    assert policy.next(0.0) is None
    assert [id for id, _ in dropped(policy)] == [4] and len(policy) == 0


def test_without_follow_the_later_calls_are_served() -> None:
    policy = FairServe(limit=2, follow=False)
    arrive(policy, call(0, call=1, calls=2), call(1, call=2, calls=2))
    assert [id for id, _ in block(policy)] == [0]
    assert admit(policy).id == 1


def test_a_later_call_waits_even_if_no_earlier_one_was_seen() -> None:
    policy = FairServe(limit=1)
    arrive(policy, call(0, call=2, calls=3))
    assert block(policy) == [] and admit(policy).id == 0
    anyone = FairServe(limit=1, drop="any")
    arrive(anyone, call(0, call=2, calls=3))
    assert [id for id, _ in block(anyone)] == [0]


def test_a_call_that_has_run_is_never_dropped() -> None:
    policy, running = FairServe(limit=1, drop="any"), call(0, call=1, calls=2)
    arrive(policy, running)
    admit(policy)
    preempt(policy, running)
    assert block(policy) == [] and policy.next(0.0) is running


def test_a_call_that_has_run_is_served_even_if_a_later_one_was_dropped() -> None:
    policy, running = FairServe(limit=2, drop="any"), call(0, call=1, calls=3)
    arrive(policy, running, call(1, call=2, calls=3))
    admit(policy)
    assert [id for id, _ in block(policy)] == [1]
    preempt(policy, running)
    assert head(policy) is running and dropped(policy) == []


@pytest.mark.parametrize(("by_number", "left"), [(False, [1]), (True, [])])
def test_another_clients_interaction_of_the_same_number_goes_on(by_number: bool, left: list[int]) -> None:
    policy = FairServe(limit=2, interactions_by_number=by_number)
    arrive(policy, call(0, "a", call=1, calls=2), call(9, "a", interaction=3), call(1, "b", call=2, calls=2))
    assert [id for id, _ in block(policy)] == [0]
    assert admit(policy).id == 9
    following = policy.next(0.0)
    assert ([] if following is None else [following.id]) == left


@pytest.mark.parametrize(("app_limits", "ids"), [(True, [0]), (False, [])])
def test_the_limit_of_the_application_counts_after_that_of_the_client(app_limits: bool, ids: list[int]) -> None:
    policy = FairServe(limit=5, app_limits=app_limits)
    arrive(policy, *(call(i, "abc"[i], app="mail", app_limit=3) for i in range(3)), call(3, "d", app="chat", app_limit=3))
    lost = block(policy)
    assert [id for id, _ in lost] == ids
    assert all("application mail had 3 requests" in reason for _, reason in lost)


@pytest.mark.parametrize(("from_first", "late"), [(False, []), (True, [0])])
def test_the_minute_ends_with_the_last_arrival(from_first: bool, late: list[int]) -> None:
    policy = FairServe(limit=3, window_from_first=from_first)
    for id in range(3):
        arrive(policy, call(id, interaction=id), now=float(id))
    arrive(policy, call(3, interaction=3), now=61.5)
    assert [id for id, _ in block(policy, now=61.5)] == late
    steady = FairServe(limit=3)
    for id in range(3):
        arrive(steady, call(id, interaction=id), now=float(id))
    assert [id for id, _ in block(steady, now=500.0)] == [0]


def test_at_arrival_accepted_requests_count_and_later_calls_may_be_let_in() -> None:
    policy = FairServe(limit=1, check="arrival")
    arrive(policy, call(0, call=1, calls=2))
    refused = policy.on_arrival(call(1, interaction=2, call=1, calls=2), 1.0)
    assert refused == "client a sent 1 requests within a minute, and its limit is 1"
    arrive(policy, call(2, call=2, calls=2), now=2.0)
    arrive(policy, call(4, interaction=2, call=2, calls=2), now=3.0)
    assert [admit(policy).id, admit(policy).id] == [0, 2]
    assert policy.next(3.0) is None and [id for id, _ in dropped(policy)] == [4]
    arrive(policy, call(5, interaction=3), call(6, "b"), now=63.5)
    assert block(policy, 63.5) == []


def test_always_drops_also_while_there_is_room() -> None:
    policy = FairServe(limit=2, check="always", drop="any")
    arrive(policy, call(0), call(1, interaction=2), call(2, "b"))
    assert admit(policy).id == 2
    assert [id for id, _ in dropped(policy)] == [0, 1]


@pytest.mark.parametrize(("drop_ends_pass", "following"), [(False, 2), (True, None)])
def test_a_drop_may_end_the_pass(drop_ends_pass: bool, following: int | None) -> None:
    policy = FairServe(limit=2, drop_ends_pass=drop_ends_pass)
    arrive(policy, call(0, call=1, calls=2), call(1, call=2, calls=2), call(2, "b"))
    assert len(block(policy)) == 1
    policy.on_pass(0.0)
    request = policy.next(0.0)
    assert (request and request.id) == following
    policy.on_pass(0.0)
    assert admit(policy).id == 2


@pytest.mark.parametrize(("rpm_debt", "lost"), [("repaid", []), ("kept", [2])])
def test_a_client_is_let_off_until_it_owes_more_than_its_limit(rpm_debt: str, lost: list[int]) -> None:
    policy = FairServe(limit=1, rpm_debt=rpm_debt)
    arrive(policy, *(call(id, interaction=id) for id in range(4)))
    for _ in range(3):
        assert block(policy) == [], "a request counts once, however often it is blocked"
    losses = []
    for _ in range(2):
        admit(policy)
        losses += [id for id, _ in block(policy)]
    assert losses == lost


def test_a_debt_is_forgiven_to_a_client_that_was_away_for_a_minute() -> None:
    policy = FairServe(limit=1, rpm_debt="kept")
    for start in (0.0, 100.0):
        arrive(policy, *(call(id, interaction=id) for id in range(3)), now=start)
        for lost in ([], [], [2]):
            assert [id for id, _ in block(policy, start)] == lost
            if not lost:
                finish(policy, admit(policy, start), start)
        assert len(policy) == 0
        arrive(policy, call(9, "b"), now=start + 99)
        finish(policy, admit(policy, start + 99), start + 99)


def test_a_client_gives_up_its_turn_once_for_each_later_call_that_did_not_fit() -> None:
    policy = FairServe(prefer=False, interaction_debt=True, check="never", charge="ratio")
    arrive(policy, call(0, "a", call=2, calls=2, prompt=1), *(call(id, "bcd"[id - 1], prompt=50) for id in (1, 2, 3)))
    assert block(policy) == []
    assert [admit(policy).client for _ in range(4)] == ["b", "a", "c", "d"]


def test_a_turn_that_was_given_up_for_a_request_that_did_not_fit_either_counts() -> None:
    policy = FairServe(prefer=False, interaction_debt=True, check="never")
    arrive(policy, call(0, "a", call=2, calls=2), call(1, "b"))
    turns = []
    for _ in range(4):
        turns.append(head(policy).client)
        block(policy)
    assert turns == ["a", "b", "a", "a"]


def test_who_waits_alone_does_not_give_up_its_turn() -> None:
    policy = FairServe(interaction_debt=True)
    arrive(policy, call(0, call=2, calls=2))
    block(policy)
    assert admit(policy).id == 0


def test_an_interaction_that_never_ends_is_given_up_for_an_hour_only() -> None:
    policy = FairServe(limit=1)
    arrive(policy, call(0, call=1, calls=9))
    assert len(block(policy)) == 1
    for id, wait in ((1, MEMORY_S - 1), (2, MEMORY_S - 1)):
        arrive(policy, call(id, call=1 + id, calls=9), now=id * wait)
        assert policy.next(id * wait) is None and len(dropped(policy)) == 1
    arrive(policy, call(3, call=4, calls=9), now=3 * MEMORY_S)
    assert head(policy, 3 * MEMORY_S).id == 3
