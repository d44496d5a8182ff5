"""Who goes in a step, and with which weights, by mode."""

from __future__ import annotations

import pytest

from engine.adapters.credit import Credit
from engine.adapters.merged import Merged
from engine.adapters.one_at_a_time import PEFT, OneModelEach
from engine.adapters.unmerged import MultiLoRA, Unmerged
from tests.engine.adapters.queues import named, queue_of

QUEUE = "aabcaabbd"


@pytest.mark.parametrize(
    ("policy", "batch"),
    [
        (Unmerged(slots=2), "aab"), (Unmerged(slots=4), "aabcaab"), (MultiLoRA(slots=2), "aabaab"), (Merged(slots=1), "aaaa"),
        (PEFT(), "aa"), (PEFT(grouped=True), "aaaa"), (OneModelEach(), "aa"), (OneModelEach(grouped=True), "aaaa"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_goes(policy, batch):
    requests, weights = policy.decide(queue_of(QUEUE), 7)
    assert named(requests) == batch
    assert weights.merged == ("a" if isinstance(policy, Merged) else None)
    assert set(batch) <= set(weights.active) and set(weights.loads) == set(batch)


def test_a_change_of_the_merged_adapter_is_two_folds():
    policy = Merged()
    folds = [policy.decide(queue_of(names), 4)[1].folds for names in ("a", "ab", "b", "b", "ab")]
    assert folds == [1, 0, 2, 0, 2] and policy.folds == 5
    dlora = Credit()
    assert [dlora.decide(queue_of(names), 4)[1].folds for names in ("aaaa", "abcd", "abcd")] == [1, 1, 0]


def test_what_is_placed_needs_no_copy():
    policy = MultiLoRA()
    policy.place(["a", "b"])
    assert policy.residency.slots == 2
    assert policy.decide(queue_of("ab"), 4)[1].loads == ()
    assert policy.decide(queue_of("c"), 4)[1].loads == ("c",)
    models = OneModelEach(slots=2)
    models.place(["a", "b", "c"])
    assert models.residency.slots == 2 and list(models.residency.resident) == ["a", "b"]
