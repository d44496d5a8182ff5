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
