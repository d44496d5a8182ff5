"""Steps that begin before they are planned give the same tokens, whatever comes between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.native.executor import NativeExecutor
from engine.request import Request
from engine.sampling import Sampling
from tests.engine.executors.native.pairs import ask, make_pair, serve

PAIR = make_pair()
SYSTEMS = ("vllm", "sarathi", "order=fcfs,batch=sarathi(token_budget=12,max_sequences=3)")
some = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 20), st.sampled_from([0.0, 0.0, 0.0, 0.8]), st.integers(0, 3)),
    min_size=1, max_size=6,
)


def requests_of(asked: list[tuple[int, int, float, int]]) -> list[Request]:
    return [
        ask(i, [(7 * i + place) % 50 for place in range(prompt)], output, Sampling(temperature, seed=i, stop_ids=(stop,)))
        for i, (prompt, output, temperature, stop) in enumerate(asked)
    ]


@given(some, st.sampled_from(SYSTEMS), st.sampled_from([96, 400]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_answers_are_those_without(asked: list[tuple[int, int, float, int]], system: str, pool: int) -> None:
    runs = []
    for ahead in (False, True):
        requests = requests_of(asked)
        serve(PAIR, requests, system, pool_tokens=pool, ahead=ahead)
        runs.append([(request.status, request.output_ids) for request in requests])
    assert runs[0] == runs[1]


def test_a_decode_runs_one_forward_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests of different lengths: one forward for the prefills, then one for each token of the longer answer."""
    forwards: list[int] = []

    def count(engine: Any) -> None:
        executor = engine.executor
        assert isinstance(executor, NativeExecutor)
        runner, forward = executor.runners()[0], executor.runners()[0].forward
        monkeypatch.setattr(runner, "forward", lambda step, *rest: forwards.append(len(step.tokens)) or forward(step, *rest))

    serve(PAIR, [ask(0, [1, 2, 3], 9), ask(1, [4, 5], 5)], "vllm", prepare=count, ahead=True)
    assert forwards == [5, 2, 2, 2, 2, 1, 1, 1, 1]


def test_who_left_or_has_other_tokens_is_not_in_it() -> None:
    from engine.executors.native.ahead import Ahead, NextTokens

    torch = pytest.importorskip("torch")
    first, second = ask(0, [1], 3), ask(1, [2], 3)
    begun = Ahead.of([first, second], np.array([4, 9]), NextTokens(torch.zeros(2, 8)))
    assert begun.of_these([second], np.array([9])).tolist() == [1]  # type: ignore[union-attr]
    assert begun.of_these([second, first], np.array([9, 4])).tolist() == [1, 0]  # type: ignore[union-attr]
    assert begun.of_these([first], np.array([5])) is None
    assert begun.of_these([ask(2, [1], 1)], np.array([4])) is None


def test_steps_begin_ahead_only_while_what_comes_is_what_was_expected() -> None:
    from engine.executors.native.ahead import MEMORY, Habit

    habit, request, at = Habit(), ask(0, [1], 9), np.array([4])
    begun = []
    for other in (False,) * 3 + (True,) * 8 + (False,) * 3 * MEMORY:
        begun.append(habit.expect([request], at))
        habit.planned([] if other else [request], at[:0] if other else at)
    assert begun[:4] == [True] * 4
    assert not begun[11] and begun[-1]


def test_a_step_that_nobody_expected_counts_for_nothing() -> None:
    from engine.executors.native.ahead import Habit

    habit = Habit()
    for _ in range(99):
        habit.planned([], np.zeros(0, np.int64))
    assert habit.expect([ask(0, [1], 9)], np.array([4]))
