"""The commands that docs/speed.md takes its numbers from run."""

from __future__ import annotations

import pytest

from benchmarks import ordering, simulator


@pytest.mark.parametrize("system", ordering.SYSTEMS)
def test_a_decision_of_every_ordering_is_timed(system, monkeypatch):
    monkeypatch.setattr(ordering, "DECISIONS", 60)
    assert ordering.measure(system, clients=5) > 0


@pytest.mark.parametrize("system", ["vtc", "adaserve"])
def test_the_simulator_is_timed(system):
    assert simulator.measure(system, requests=210, clients=2)
