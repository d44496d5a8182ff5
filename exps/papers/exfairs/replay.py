"""What ExFairS's policy did after each round, which records do not hold: its own exchange over the records' rounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.ordering.mechanics.rounds import Rounds, Tally
from engine.request import REJECTED, Request

Policy = ExFairS | ContinuousExFairS
COLUMNS = ("request", "client", "prompt_tokens", "output_tokens", "arrival_s", "finished_s", "slo_s", "status")
FINISHES, ARRIVES = 0, 1


@dataclass(frozen=True)
class RoundEnd:
    """A round that ended at ``end_s``: how the clients fared, the state after its exchange, and ``exchanged`` so far."""

    end_s: float
    tallies: Mapping[str, Tally]
    priorities: Mapping[str, float]
    credits: Mapping[str, float]
    exchanged: int


def replay(requests: pl.DataFrame, policy: Policy, until_s: float) -> Iterator[RoundEnd]:
    """Every round of ``policy``, which is to be fresh, up to ``until_s``.

    The policy hears of an arrival when the step that then runs is over, which records do not tell: here it counts at once.
    That differs only for arrivals within a step of a round's end, of which ExFairS's silent buffers have none.
    """
    rounds = Rounds(policy.round_s)
    for now, kind, request in _events(requests):
        yield from _end_rounds(rounds, policy, now)
        if kind == FINISHES:
            rounds.finish(request, now)
        elif request.status == REJECTED:
            rounds.refuse(request)
        else:
            rounds.submit(request)
            policy.account(request.client)
    yield from _end_rounds(rounds, policy, until_s)


def _end_rounds(rounds: Rounds, policy: Policy, now: float) -> Iterator[RoundEnd]:
    for tallies, passed in rounds.ended(now):
        policy.end_round(tallies, passed)
        yield RoundEnd(rounds.number * policy.round_s, tallies, policy.priorities, policy.credits, policy.exchanged)


def _events(requests: pl.DataFrame) -> list[tuple[float, int, Request]]:
    """Arrivals and ends in order of time; what ends with a step goes before what arrives at its end."""
    events: list[tuple[float, int, Request]] = []
    for row in requests.select(COLUMNS).iter_rows():
        request, finished_s = _request(row)
        events.append((request.arrival_s, ARRIVES, request))
        if finished_s is not None:
            events.append((finished_s, FINISHES, request))
    return sorted(events, key=lambda event: event[:2])


def _request(row: tuple[Any, ...]) -> tuple[Request, float | None]:
    id, client, prompt, output, arrival_s, finished_s, slo_s, status = row
    request = Request(id, client, prompt, output, arrival_s, slo_s=slo_s, status=status, produced=output)
    return request, finished_s
