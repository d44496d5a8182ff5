"""The log of steps: stretches by client, by replica, and by the adapter that was merged."""

from __future__ import annotations

import pytest

from exps.run.recorder import Recorder, StepLog


def test_equal_steps_are_one_row():
    log = StepLog()
    for tick in range(3):
        log.add(tick, tick + 1, {}, {"a": 2})
    assert log.frame().rows() == [("a", 0.0, 3.0, 3, 0, 6)]


def test_overlapping_steps_of_several_replicas_stay_apart():
    recorder = Recorder(1, record_steps=True)
    first, second = recorder.on(0), recorder.on(1)
    first.step_done(0.0, 2.0, {}, {"a": 1})
    second.step_done(1.0, 3.0, {}, {"a": 1, "b": 1})
    first.step_done(2.0, 4.0, {}, {"a": 1})
    second.step_done(3.0, 5.0, {}, {"b": 1})
    frame = recorder.steps()
    assert frame is not None
    rows = frame.select("replica", "client", "start_s", "end_s", "steps", "output_tokens").rows()
    assert rows == [(0, "a", 0.0, 4.0, 2, 2), (1, "a", 1.0, 3.0, 1, 1), (1, "b", 1.0, 5.0, 2, 2)]


@pytest.mark.parametrize(("adapters", "rows"), [((None, None), 1), (("x", "x"), 1), (("x", None), 2), (("x", "y"), 2)])
def test_a_switch_of_the_merged_adapter_begins_another_row(adapters, rows):
    log = StepLog()
    for tick, adapter in enumerate(adapters):
        log.add(tick, tick + 1, {}, {"a": 1}, adapter=adapter)
    frame = log.frame()
    assert frame.height == rows and ("adapter" in frame.columns) == any(adapters)
