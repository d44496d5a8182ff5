"""Two ranks give the tokens of one, whatever is batched, speculated, begun ahead or pre-empted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.core import Engine
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.parallel.ranks import Ranks
from engine.executors.native.parallel.ring import SLOTS, WORDS
from engine.plan import StepResult
from engine.request import Request
from engine.sampling import Sampling
from tests.engine.executors.native.pairs import Pair, ask, policies, serve
from tests.engine.executors.native.parallel.parts import SplitPair, part_of, whole_pair

WHOLE = whole_pair()
CHUNKS = "order=fcfs,batch=sarathi(token_budget=12,max_sequences=3)"


def requests() -> list[Request]:
    """Long and short, greedy and drawn, with and without log-probabilities and stop tokens."""
    samplings = [Sampling(ignore_stop=True), Sampling(0.8, seed=3, ignore_stop=True), Sampling(stop_ids=(3, 9)),
                 Sampling(logprobs=True, ignore_stop=True), Sampling(0.9, seed=5, logprobs=True, ignore_stop=True)]
    shapes = [(40, 20), (7, 12), (1, 25), (30, 9), (12, 15)]
    return [
        ask(i, [(11 * i + 5 * place) % 64 for place in range(prompt)], output, sampling)
        for i, ((prompt, output), sampling) in enumerate(zip(shapes, samplings, strict=True))
    ]


def answers(pair: Pair, asked: list[Request], system: str, pool: int, ahead: bool) -> tuple[list[Any], dict[int, list[float]]]:
    """What became of each request, and the log-probabilities that were told."""
    told: dict[int, list[float]] = {}

    def listen(engine: Engine) -> None:
        forward = engine.executor.forward

        def heard(*arguments: Any) -> StepResult:
            result = forward(*arguments)
            for id, values in (result.logprobs or {}).items():
                told.setdefault(id, []).extend(values)
            return result

        engine.executor.forward = heard  # type: ignore[method-assign]

    serve(pair, asked, system, pool, listen, ahead)
    return [(it.status, list(it.output_ids), it.accepted_tokens, it.preemptions) for it in asked], told


@pytest.mark.parametrize("pool", [400, 112])
@pytest.mark.parametrize(
    ("system", "ahead"),
    [("vllm", False), ("vllm", True), (CHUNKS, False), (CHUNKS, True), ("adaserve", False), ("tree", False),
     ("vllm-spec-4", False)],
)
def test_tokens_are_those_of_one_rank(ranks: Ranks, system: str, ahead: bool, pool: int) -> None:
    one, log_one = answers(WHOLE, requests(), system, pool, ahead)
    two, log_two = answers(SplitPair.of(ranks), requests(), system, pool, ahead)
    assert two == one
    assert log_one.keys() == log_two.keys() == {3, 4}
    for id, values in log_one.items():
        torch.testing.assert_close(torch.tensor(log_two[id]), torch.tensor(values), rtol=0, atol=1e-4)


def test_graphs_may_be_asked_for(ranks: Ranks) -> None:
    one, _ = answers(WHOLE, requests(), "vllm", 400, True)
    assert answers(SplitPair.of(ranks, graphs=True), requests(), "vllm", 400, True)[0] == one


def test_warm_up_and_slots_reach_all(ranks: Ranks) -> None:
    pair = SplitPair.of(ranks)
    asked = ask(0, [1, 2, 3], 5)

    def warm(engine: Engine) -> None:
        assert isinstance(engine.executor, NativeExecutor)
        engine.executor.warm_up(4)

    serve(pair, [asked], "vllm", prepare=warm)
    alone = ask(0, [1, 2, 3], 5)
    serve(WHOLE, [alone], "vllm")
    assert asked.output_ids == alone.output_ids


def test_a_draft_that_is_not_a_number_breaks_nobody(ranks: Ranks) -> None:
    """The slots of a tree are cleared on all ranks before the root is computed alone."""
    pair = SplitPair.of(ranks)
    one, two = (ask(0, [1, 2, 3], 8) for _ in range(2))

    def poison(engine: Engine) -> None:
        assert isinstance(engine.executor, NativeExecutor)
        target = engine.executor.runners()[0]
        forward, left = target.forward, [2]

        def poisoned(step: Any, *rest: Any) -> Any:
            logits = forward(step, *rest)
            if step.tree_lens.any() and left[0] > 0:
                left[0] -= 1
                logits[:] = torch.nan
            return logits

        target.forward = poisoned  # type: ignore[method-assign]

    serve(WHOLE, [one], "adaserve", prepare=poison)
    serve(pair, [two], "adaserve", prepare=poison)
    assert one.output_ids == two.output_ids and len(one.output_ids) == 8


def test_a_message_may_be_longer_than_the_ring(ranks: Ranks) -> None:
    pair, ring = SplitPair.of(ranks), SLOTS * WORDS
    pair.executor_for(300, policies("vllm")).runners()[0].clear(np.arange(ring + 9) % 5 + 1)
    one, two = (ask(0, range(20), 3) for _ in range(2))
    serve(WHOLE, [one], "vllm")
    serve(pair, [two], "vllm")
    assert one.output_ids == two.output_ids


def test_a_runner_whose_place_was_taken_refuses(ranks: Ranks) -> None:
    first, _ = (SplitPair.of(ranks).executor_for(300, policies("vllm")).runners()[0] for _ in range(2))
    with pytest.raises(ValueError, match="the ranks have built another runner since; make the executor again"):
        first.clear(np.array([1]))


def test_a_decoder_that_is_not_split_is_refused(ranks: Ranks) -> None:
    with pytest.raises(ValueError, match=r"is not rank 0's part of 2; load it with split=Split\(rank=0, of=2\)"):
        ranks.runner(WHOLE.target, 4, 16)


def test_one_set_at_a_time(ranks: Ranks) -> None:
    assert ranks.description == "2 ranks, gloo"
    with pytest.raises(ValueError, match="one set at a time"):
        Ranks(2, part_of)
