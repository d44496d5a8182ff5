"""Answers go on after their keys and values were in host memory as if they had never left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.core import Engine
from engine.ordering.mlfq import MLFQ
from engine.roles import Policies
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from tests.engine.executors.native.pairs import ask, assert_greedy, make_pair, serve
from tests.engine.executors.native.test_lossless import requests

PAIR = make_pair()
SPECULATIONS = {"plain": lambda: None, "chain": lambda: Chain(3), "adaserve": lambda: AdaServe(budget=24)}


@pytest.mark.parametrize("speculation", SPECULATIONS)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(requests(), st.sampled_from((VLLM, Sarathi)), st.booleans())
def test_answers_are_those_of_plain_greedy_decoding(speculation: str, work: list, batching: type, ahead: bool) -> None:
    fill = batching(max_sequences=2, watermark=0.0, block_size=4, swap_tokens=400)
    policies = Policies(MLFQ(quantum=2), fill, SPECULATIONS[speculation]())
    serve(PAIR, work, policies, 200, ahead=ahead and speculation == "plain")
    for request in work:
        assert_greedy(PAIR, request)


@pytest.mark.parametrize("speculation", SPECULATIONS)
def test_what_comes_back_is_not_computed_again(speculation: str) -> None:
    """Each return computes one token, and the draft catches up with no more than what was accepted meanwhile."""
    forwards: list[list[int]] = []

    def count(engine: Engine) -> None:
        for place, runner in enumerate(engine.executor.runners()):
            forwards.append([])
            runner.forward = counting(runner.forward, forwards[place])

    def counting(forward, tokens):
        return lambda step, *rest: tokens.append(len(step.tokens)) or forward(step, *rest)

    totals = []
    for swap in (0, 1000):
        forwards.clear()
        work = [ask(i, [(30 * i + place) % 64 for place in range(30)], 20) for i in range(2)]
        fill = VLLM(max_sequences=1, swap_tokens=swap)
        serve(PAIR, work, Policies(MLFQ(quantum=2), fill, SPECULATIONS[speculation]()), prepare=count)
        assert sum(request.preemptions for request in work) > 2
        totals.append([sum(tokens) for tokens in forwards])
    for again, kept in zip(*totals, strict=True):
        assert kept < again - 60 or again == kept == 0
