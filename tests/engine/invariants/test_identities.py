"""Identities that one client makes up: what VTC gives to each of them, first come, first served does not notice."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.request import Request
from tests.engine.invariants.history import History
from tests.engine.invariants.stages import SIMULATED, Stage
from tests.engine.invariants.traffic import crowd, traffic


def split(requests: list[Request], client: str, identities: int) -> list[Request]:
    """The client's requests, dealt out to so many identities."""
    own = [request for request in requests if request.client == client]
    for nth, request in enumerate(own):
        request.client = f"{client}/{nth % identities}"
    return requests


def shares(history: History, client: str) -> tuple[float, float]:
    """What a client, with all of its identities, and the others got while everybody was backlogged."""
    everybody = [step for step, waited in enumerate(history.waited) if waited == frozenset(history.clients)][-1] + 1
    own = sum(float(history.service(name)[everybody]) for name in history.clients if name.split("/")[0] == client)
    return own, sum(float(history.service(name)[everybody]) for name in history.clients) - own


@pytest.mark.parametrize("identities", [1, 2, 4])
def test_vtc_gives_every_identity_a_share(stage: Stage, identities: int) -> None:
    requests = split(crowd([("a", 10, 6), ("b", 10, 6)], each=120), "a", identities)
    own, other = shares(stage.serve(requests, VTC(), pool_tokens=60), "a")
    assert own / other == pytest.approx(identities, rel=0.15)


def test_first_come_first_served_does_not_notice_identities() -> None:
    def check(requests: list[Request], identities: int) -> None:
        before = SIMULATED.serve(requests, FCFS())
        after = SIMULATED.serve(split(requests, "client-1", identities), FCFS())
        assert [r.finished_s for r in before.requests] == [r.finished_s for r in after.requests]

    SIMULATED.holds(40, check, traffic(), st.integers(2, 4))


def test_first_come_first_served_serves_identities_in_the_same_order_on_both_executors(stage: Stage) -> None:
    requests = crowd([("a", 10, 6), ("b", 10, 6)], each=10)
    before = stage.serve(requests, FCFS(), pool_tokens=60).admissions()
    assert stage.serve(split(requests, "a", 3), FCFS(), pool_tokens=60).admissions() == before
