"""What is remembered of clients."""

from __future__ import annotations

from engine.ordering.mechanics.recent import Recent


def test_what_was_touched_is_kept_longer() -> None:
    recent = Recent(list[int], keep_s=10.0)
    for client, now in (("a", 0.0), ("b", 1.0), ("a", 8.0)):
        recent.touch(client, now).append(int(now))
    assert list(recent.forget(10.0)) == []
    assert list(recent.forget(12.0)) == [[1]]
    assert recent.get("a") == [0, 8] and recent.get("b") is None and len(recent) == 1


def test_what_was_put_replaces_what_was_kept_and_is_kept_longer() -> None:
    recent = Recent(float, keep_s=10.0)
    for client, value, now in (("a", 1.0, 0.0), ("b", 2.0, 1.0), ("a", 3.0, 8.0)):
        recent.put(client, value, now)
    assert recent.forget(11.0) == [] and recent.forget(12.0) == [2.0]
    assert recent.get("a") == 3.0 and recent.forget(20.0) == [3.0] and len(recent) == 0
