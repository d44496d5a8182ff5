"""What a person types wrong about clients, weights, limits and expectations is one sentence, and nothing is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from engine.ordering.fairserve import FairServe
from engine.request import Expected
from exps.run.simulation import requests_of
from exps.workload.fairserve import production_timetable
from exps.workload.timetable import EXPECTED, timetable
from tests.engine.invariants.stages import SIMULATED
from tests.engine.ordering.hooks import call

Simulate = Callable[[str], tuple[int, str, bool]]
ROWS = {"arrival_s": [0.0, 0.0, 1.0], "client": ["alice", "bob", "bob"], "prompt_tokens": [100] * 3, "output_tokens": [9] * 3}


@pytest.fixture
def simulate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Simulate:
    """Runs the command on a trace of two clients: exit code, what it says, whether it wrote anything."""
    trace, out = tmp_path / "trace.csv", tmp_path / "out"
    trace.write_text("arrival_s,client,prompt_tokens,output_tokens\n0,alice,100,9\n1,bob,100,9\n")

    def run(order: str) -> tuple[int, str, bool]:
        system = f"vtc,order={order}"
        code = cli.main(["simulate", str(trace), "--system", system, *PLATFORM, "--out", str(out)])
        return code, capfd.readouterr().err, out.exists()

    return run


PLATFORM = ("--model", "llama-2-7b", "--hardware", "a10g")


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("vtc(weights=alice:0)", "the weight of client alice must be a number above 0, not 0"),
        ("vtc(weights=alice:-1)", "the weight of client alice must be a number above 0, not -1"),
        ("vtc(weights=alicia:2)", "the trace has no client 'alicia'; did you mean alice?"),
        ("vtc(weights=alice:2;zoe:1)", "the trace has no client 'zoe'; known: alice, bob."),
        ("fairserve(priorities=zoe:2)", "the trace has no client 'zoe'"),
        ("vtc(weights=alice:1;alice:2)", "gives alice two numbers"),
        *((f"vtc(weights={text})", f"write {text} as name:number;name:number")
          for text in ("alice", "alice:", ":2", "alice:x", "alice:nan", "alice:inf", "2")),
        ("vtc(w_q=-1)", "w_q must be a number of at least 0, not -1"),
        ("vtc(w_p=nan)", "w_p must be a number of at least 0, not nan"),
        ("vtc(w_q=two)", "w_q must be a number of at least 0, not two"),
        ("vtc(w_p=0,w_q=0)", "one of w_p, w_q must be above 0"),
        ("vtc(lift=3)", "lift is true or false, not 3"),
        ("drr(w_q=-1)", "w_q must be a number of at least 0, not -1"),
        ("rpm(limit=-5)", "limit must be a whole number of at least 1, not -5"),
        ("fairserve(limit=-5)", "limit must be at least 1, not -5"),
    ],
)
def test_a_fault_of_a_policy_is_one_sentence_and_2(simulate: Simulate, order: str, says: str) -> None:
    code, errors, wrote = simulate(order)
    assert code == 2 and says in errors and not wrote
    assert len(errors.strip().splitlines()) == 1


def test_weights_of_clients_in_the_trace_are_served(simulate: Simulate) -> None:
    assert simulate("vtc(weights=alice:2;bob:0.5)")[0] == 0


@pytest.mark.parametrize("column", EXPECTED)
@pytest.mark.parametrize("length", [0.0, -3.0])
def test_an_expected_length_of_nothing_is_refused(column: str, length: float) -> None:
    usual = {name: [10.0] * 3 for name in EXPECTED} | {column: [10.0, length, 10.0]}
    with pytest.raises(ValueError, match="an expected length is not above 0"):
        timetable({**ROWS, **usual})
    with pytest.raises(ValueError, match="expected lengths must be above 0"):
        Expected(*(length if name == column else 10.0 for name in EXPECTED))


def test_a_negative_limit_of_an_application_is_refused() -> None:
    with pytest.raises(ValueError, match="app_limit is negative"):
        timetable({**ROWS, "app_limit": [5, -1, 5]})


def test_no_two_requests_of_a_timetable_have_one_id() -> None:
    assert [request.id for request in requests_of(timetable(ROWS))] == [0, 1, 2]


def test_two_requests_that_are_the_same_call_are_not_both_taken() -> None:
    policy = FairServe()
    assert policy.on_arrival(call(1, interaction=7, call=2, calls=4), 0.0) is None
    reason = policy.on_arrival(call(2, interaction=7, call=2, calls=4), 0.0)
    assert reason == "request 2 is call 2 of interaction 7 of client a, as is another that has not ended"


def test_an_interaction_of_which_calls_are_missing_is_read_and_served_as_it_is(tmp_path: Path) -> None:
    """The production trace has such: it ends in the middle of some, and calls that were too long were left out of others."""
    path = tmp_path / "production.csv"
    rows = [f"0,1,2,30,4,{made},50,5,0,50,1,5" for made in (1, 2)] + [f"0,1,2,31,4,{made},50,5,0,50,1,5" for made in (2, 4)]
    header = "arrival_s,user,app,interaction,llmcalls,llmcalls_made,prompt_tokens,output_tokens,sys_tokens,"
    path.write_text("\n".join([header + "expected_input,expected_system,expected_output", *rows]))
    requests = [*requests_of(production_timetable(path))]
    assert [(request.interaction, request.call, request.calls) for request in requests] == [
        (30, 1, 4), (30, 2, 4), (31, 2, 4), (31, 4, 4),
    ]
    assert len(SIMULATED.serve(requests, FairServe(limit=1), pool_tokens=70).finished()) == 4
