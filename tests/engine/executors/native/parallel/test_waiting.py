"""What waits for a GPU looks at the ranks meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import RankError
from engine.executors.native.parallel.group import Group


class Event:
    """A device event that is past after some looks."""

    def __init__(self, looks: int):
        self.looks, self.waited = looks, False

    def query(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def synchronize(self) -> None:
        self.waited = True


def waiting(watch: Any) -> Group:
    group = object.__new__(Group)
    group.watch = watch
    return group


def test_rank_0_polls_and_watches() -> None:
    waits: list[float] = []
    waiting(waits.append).wait(Event(3))  # type: ignore[arg-type]
    assert len(waits) == 3 and waits == sorted(waits)


def test_a_fault_ends_the_wait() -> None:
    def fault(waited_s: float) -> None:
        raise RankError("rank 1 of 2 was killed; start the run again.", 1)

    with pytest.raises(RankError, match="rank 1 of 2 was killed"):
        waiting(fault).wait(Event(10**9))  # type: ignore[arg-type]


def test_the_other_ranks_just_wait() -> None:
    event = Event(1)
    waiting(None).wait(event)  # type: ignore[arg-type]
    assert event.waited
