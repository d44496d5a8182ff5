"""Log-probabilities come with the tokens of those who ask, and are the model's own."""

from __future__ import annotations

import pytest
import torch

from engine.core import Engine
from engine.plan import StepResult
from engine.sampling import Sampling
from tests.engine.executors.native.pairs import ask, make_pair, serve
from tests.engine.models.dense import logits

PAIR = make_pair()


@pytest.mark.parametrize(("system", "ahead"), [("vllm", True), ("sarathi", False), ("adaserve", False), ("tree", False)])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_they_are_those_of_the_whole_text(system: str, ahead: bool, temperature: float) -> None:
    told: dict[int, list[float]] = {}

    def listen(engine: Engine) -> None:
        forward = engine.executor.forward

        def heard(*arguments: object) -> StepResult:
            result = forward(*arguments)  # type: ignore[arg-type]
            for id, values in (result.logprobs or {}).items():
                told.setdefault(id, []).extend(values)
            return result

        engine.executor.forward = heard  # type: ignore[method-assign]

    asked = ask(0, range(1, 20), 9, Sampling(temperature, seed=3, ignore_stop=True, logprobs=True))
    silent = ask(1, [5, 6, 7], 9)
    serve(PAIR, [asked, silent], system, prepare=listen, ahead=ahead)
    assert set(told) == {0} and len(told[0]) == 9
    whole = logits(PAIR.target, [*range(1, 20), *asked.output_ids]).double().log_softmax(-1)
    expected = [float(whole[18 + place, token]) for place, token in enumerate(asked.output_ids)]
    torch.testing.assert_close(torch.tensor(told[0]), torch.tensor(expected), atol=1e-4, rtol=1e-4)
