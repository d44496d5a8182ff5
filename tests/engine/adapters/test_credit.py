"""dLoRA's scheduler of one replica against numbers that follow from its artifact's rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.credit import SEATS, Credit
from engine.adapters.credits import Credits
from engine.adapters.queue import Queue
from engine.adapters.thresholds import StepTimes, Thresholds
from tests.engine.adapters.queues import ORDER, named, queue_of, wanting

FIRST = "aaaaaaaaaabcdefg"
"""Sixteen requests of which ten want one adapter."""


def credits_of(policy: Credit) -> dict[str, float]:
    return {name: policy.credits.of(name) - policy.credits.initial for name in policy.credits._moved}


def test_credits_of_eight_adapters():
    credits = Credits(gap=10_000.0, large=1 / 16, small=0.05625)
    credits.know("abcdefgh")
    assert (credits.initial, credits.right, credits.left) == (70_000, 80_000, 75_000)


@pytest.mark.parametrize(
    ("queue", "merged"),
    [("a" * 16, "a"), ("b" * 7 + "a" * 16, "a"), ("b" + "a" * 15, None), ("aaaa", "a"), ("baaa", None)],
)
def test_merging_needs_as_many_requests_of_one_adapter_as_go_first(queue, merged):
    assert Credit().choose(queue_of(queue), SEATS).merged == merged


@pytest.mark.parametrize(
    ("left", "merged"), [("a" * 9 + "b" * 7, "a"), ("a" * 8 + "b" * 8, None), ("aaab", "a"), ("aabb", None)]
)
def test_staying_merged_needs_five_ninths_of_them(left, merged):
    policy = Credit()
    policy.decide(queue_of("a" * 16), SEATS)
    assert policy.merged == "a"
    assert policy.choose(queue_of(left), SEATS).merged == merged


@pytest.mark.parametrize("positional", [True, False])
def test_who_goes_out_of_turn_pays_a_whole_cost_where_as_many_go(positional):
    policy = Credit(positional=positional)
    choice = policy.choose(queue_of(FIRST + "a" * 6), SEATS)
    assert choice.merged == "a" and named(choice.requests) == "a" * 16
    moved = credits_of(policy)
    assert moved.pop("a") == pytest.approx(-0.675) and sum(moved.values()) == pytest.approx(0.675)
    assert all(moved[name] == pytest.approx(0.1125) for name in "bcdefg")


def test_by_position_the_first_in_line_is_paid_last():
    queue = queue_of("bcdefg" + "a" * 16)
    paid, unpaid = Credit(), Credit(positional=True)
    for policy in (paid, unpaid):
        assert policy.choose(queue, SEATS).merged == "a"
    assert credits_of(paid)["b"] == pytest.approx(0.1125)
    assert credits_of(unpaid)["b"] == 0 and credits_of(unpaid)["a"] == 0


def test_who_stays_merged_with_more_requests_pays_half():
    policy = Credit()
    policy.decide(queue_of("a" * 16), SEATS)
    choice = policy.choose(queue_of(FIRST + "a" * 10), SEATS)
    assert choice.merged == "a" and named(choice.requests) == "a" * 16
    assert credits_of(policy)["a"] == pytest.approx(-6 * 0.05625)


def tuned(was_merged: bool, merged: int, unmerged: int, virtual: int = 0) -> Thresholds:
    thresholds = Thresholds(StepTimes())
    thresholds.steps, thresholds.virtual_switches = 100, virtual
    thresholds.count(merged, unmerged)
    thresholds.tune(was_merged)
    return thresholds


def test_thresholds_learn_from_the_period_that_ends():
    assert tuned(True, 1600, 1600).alpha == pytest.approx(0.95)
    assert tuned(False, 400, 1600, virtual=5).beta == pytest.approx(0.5556 + 0.05, abs=1e-4)
    assert tuned(True, 400, 1600).alpha == pytest.approx(1.1)
    assert tuned(False, 1600, 1600).beta == pytest.approx(0.5556 / 1.1, abs=1e-4)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1600), st.integers(1, 1600), st.integers(0, 100)), max_size=60))
def test_thresholds_stay_within_their_clamps(periods):
    thresholds = Thresholds(StepTimes())
    for was_merged, merged, unmerged, virtual in periods:
        thresholds.steps, thresholds.virtual_switches = 100, virtual
        thresholds.count(merged, unmerged)
        thresholds.tune(was_merged)
        assert 0.05 <= thresholds.beta < thresholds.alpha <= 2.0


def test_merging_pays_above_the_ratio_of_the_step_times():
    times = StepTimes()
    assert times.ratio == pytest.approx(0.5556, abs=1e-4)
    ahead = 1.01 * times.ratio
    assert ahead / times.merged_s > 1 / times.unmerged_s > 0.99 * times.ratio / times.merged_s


class Traffic:
    """A queue in which requests of random adapters come and go, and how long each of the first was put off."""

    def __init__(self, policy: Credit, names: str):
        self.policy, self.names, self.queue, self.sent = policy, names, Queue(ORDER.fixed_place), 0
        self.put_off: dict[int, int] = {}
        self.longest = 0

    def send(self, name: str) -> None:
        (request,) = wanting(name, first=self.sent)
        self.sent += 1
        self.queue.add(request)

    def step(self, ends: int) -> None:
        """Of those that go the first ``ends`` end."""
        first = self.queue.first(SEATS)
        requests, _ = self.policy.decide(self.queue, SEATS)
        going = requests[:SEATS]
        for request in first:
            self.put_off[request.id] = 0 if request in going else self.put_off.get(request.id, 0) + 1
            self.longest = max(self.longest, self.put_off[request.id])
        for request in going[:ends]:
            self.queue.remove(request)


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 4), st.sampled_from((1.0, 5.0)), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=20),
       st.integers(0, 3))
def test_nobody_is_put_off_beyond_the_bound_and_credits_add_up(n, gap, script, popular):
    """One adapter always has more requests than fit a step; others come now and then."""
    policy = Credit(slots=8, gap=gap)
    traffic = Traffic(policy, "abcd"[:n])
    script = script or [(0, 0)]
    for tick in range(1200):
        name, ends = script[tick % len(script)]
        while traffic.queue.count(traffic.names[popular % n]) < 20:
            traffic.send(traffic.names[popular % n])
        if tick % 5 == 0 and len(traffic.queue) < 60:
            traffic.send(traffic.names[name % n])
        traffic.step(ends)
        assert set(policy.credits.imbalance().values()) <= {0}
    assert traffic.longest <= policy.longest_wait()


def test_without_payment_by_displacement_the_first_in_line_may_wait_for_ever():
    longest = {}
    for positional in (False, True):
        policy = Credit(gap=1.0, positional=positional)
        traffic = Traffic(policy, "ab")
        traffic.send("b")
        for _ in range(600):
            while traffic.queue.count("a") < SEATS:
                traffic.send("a")
            traffic.step(1)
        longest[positional] = traffic.longest
    assert longest[False] < policy.longest_wait() and longest[False] < 100 and longest[True] == 600


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="aaaabc", min_size=1, max_size=30), st.integers(1, 60), st.sampled_from((1.0, 10_000.0)))
def test_a_choice_that_is_kept_is_the_choice_made_again(adapters, steps, gap):
    """Thresholds, credits and answers are the same, to the bit."""
    kept, made = Credit(gap=gap), Credit(gap=gap)
    queue, left = queue_of(adapters), 0.0
    for _ in range(steps):
        again = made.decide(queue, SEATS)
        if left >= 1:
            kept.keep(1)
            left -= 1
        else:
            last = kept.decide(queue, SEATS)
            left = kept.horizon()
        assert [r.id for r in last[0][:SEATS]] == [r.id for r in again[0][:SEATS]] and last[1].merged == again[1].merged
    assert kept.credits._moved == made.credits._moved
    assert vars(kept.thresholds) == vars(made.thresholds)
