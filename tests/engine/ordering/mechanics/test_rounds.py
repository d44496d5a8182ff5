"""What a round counts, by events."""

from __future__ import annotations

from engine.ordering.mechanics.rounds import Rounds, Tally
from engine.request import FAILED, FINISHED, Request
from tests.engine.strategies import make_request


def ended(rounds: Rounds, now: float) -> list[dict[str, tuple[int, int, int]]]:
    return [
        {client: (t.submitted, t.decided, t.violations) for client, t in tallies.items()} for tallies, _ in rounds.ended(now)
    ]


def finish(rounds: Rounds, request: Request, now: float, status: str = FINISHED) -> None:
    request.status, request.produced = status, request.output_tokens
    rounds.finish(request, now)


def test_a_violation_is_late_or_failed_or_still_unfinished_and_counts_once() -> None:
    rounds = Rounds(10.0)
    on_time, late, failed, stuck, free = (make_request(i, slo_s=slo) for i, slo in enumerate((4.0, 4.0, 4.0, 15.0, None)))
    for request in (on_time, late, failed, stuck, free):
        rounds.submit(request)
    finish(rounds, on_time, 4.0)
    finish(rounds, late, 4.5)
    finish(rounds, failed, 1.0, FAILED)
    finish(rounds, free, 9.0)
    assert ended(rounds, 9.9) == []
    assert ended(rounds, 31.0) == [{"a": (5, 4, 2)}, {"a": (0, 1, 1)}, {}]
    finish(rounds, stuck, 31.0)
    ((tallies, passed),) = rounds.ended(40.0)
    assert (tallies["a"].decided, tallies["a"].violations, tallies["a"].completed, passed) == (0, 0, 1, 1)


def test_a_request_beyond_its_slo_but_not_at_the_end_of_a_round_is_judged_when_it_ends() -> None:
    rounds = Rounds(10.0)
    request = make_request(slo_s=12.0)
    rounds.submit(request)
    assert ended(rounds, 10.0) == [{"a": (1, 0, 0)}]
    finish(rounds, request, 11.0)
    assert ended(rounds, 20.0) == [{"a": (0, 1, 0)}]


def test_a_refused_request_is_submitted_and_violated_even_without_an_slo() -> None:
    rounds = Rounds(10.0)
    rounds.submit(make_request(0, slo_s=4.0))
    for i, slo_s in enumerate((4.0, None), start=1):
        rounds.refuse(make_request(i, slo_s=slo_s))
    assert ended(rounds, 10.0) == [{"a": (3, 3, 3)}]
    assert ended(rounds, 20.0) == [{}]


def test_what_a_round_adds_up() -> None:
    rounds = Rounds(10.0)
    for i, (prompt, output, now) in enumerate(((10, 5, 2.0), (30, 8, 4.0))):
        request = make_request(i, prompt=prompt, output=output)
        rounds.submit(request)
        finish(rounds, request, now)
    ((tallies, _),) = rounds.ended(10.0)
    assert tallies == {"a": Tally(2, 2, 2, 0, 10 + 30 + 2 * (5 + 8), 6.0, 5 / 2 + 8 / 4)}


def test_a_long_silence_is_one_stretch() -> None:
    rounds = Rounds(0.001)
    assert [(tallies, passed) for tallies, passed in rounds.ended(1e6)] == [({}, 10**9)]
