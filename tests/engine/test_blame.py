"""A policy that raises is named, with the request it had in hand."""

from __future__ import annotations

import pytest

from engine.batching import BATCHINGS
from engine.blame import blame
from engine.ordering import ORDERINGS
from engine.request import Request

FCFS = ORDERINGS["fcfs"]


class Clumsy(FCFS):  # type: ignore[misc, valid-type]
    def on_admit(self, request, now):
        raise KeyError(request.client)

    def take_dropped(self):
        raise ZeroDivisionError


def caught(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_a_policy_is_blamed_with_its_request_and_place():
    sentence = blame(caught(Clumsy().on_admit, Request(17, "bob", 10, 5, 0.0), 0.0))
    assert sentence is not None
    assert "ordering policy Clumsy raised KeyError: 'bob' in on_admit" in sentence
    assert "tests/engine/test_blame.py, line" in sentence and "request 17 of client bob" in sentence


def test_without_a_request_in_hand_the_sentence_says_so():
    sentence = blame(caught(Clumsy().take_dropped))
    assert sentence is not None and "ZeroDivisionError in take_dropped" in sentence and "no request in hand" in sentence


def test_the_innermost_policy_is_blamed():
    batching = BATCHINGS["vllm"]()
    batching.refuse = lambda request, pool: Clumsy().on_admit(request, 0.0)

    class Outer(type(batching)):  # type: ignore[misc]
        def plan(self, running, draft, start):
            return batching.refuse(Request(3, "ann", 1, 1, 0.0), None)

    sentence = blame(caught(Outer().plan, None, None, 0.0))
    assert sentence is not None and "ordering policy Clumsy" in sentence and "request 3 of client ann" in sentence


@pytest.mark.parametrize("call", [lambda: 1 // 0, lambda: {}["x"]])
def test_what_no_policy_did_is_nobodys_fault(call):
    assert blame(caught(call)) is None
