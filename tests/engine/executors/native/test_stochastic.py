"""Sampled answers follow the target's distribution, speculated or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, chi2_contingency

from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.executors.native import verification
from engine.executors.native.sampling import Probabilities, pick
from engine.models.config import DecoderConfig
from engine.ordering.fcfs import FCFS
from engine.request import Request
from engine.roles import Policies
from engine.sampling import Sampling
from engine.speculation import Speculation
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.speculation.specinfer import SpecInfer
from tests.engine.executors.native.pairs import make_pair, serve
from tests.engine.models.dense import logits

TOKENS = 8
CONFIG = DecoderConfig(
    vocabulary=TOKENS, hidden=16, layers=1, heads=2, kv_heads=1, head_size=8, intermediate=16, context=32
)
PAIR = make_pair(CONFIG, noise=0.3, seed=4, scale=0.6)
PROMPT = (3, 1, 4, 1, 5)
LENGTH = 3
SEEDS = 2000
SURE = 1e-4

Settings = tuple[float, int, float]
SAMPLINGS: list[Settings] = [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.6, 5, 1.0), (1.2, 0, 0.8), (1.4, 6, 0.9)]


def pruned(width: int) -> AdaServe:
    """Of a beam of 3 layers only the likeliest nodes, about two for each of 48 requests."""
    return AdaServe(budget=144, depth=(3, 3), width=(width, width))


SPECULATIONS: dict[str, Speculation | None] = {
    "plain": None,
    "drawn chain": Chain(3),
    "short drawn chain": Chain(1),
    "ranked chain, pruned": pruned(1),
    "beam, pruned": pruned(3),
    "static tree": SpecInfer((3, 2)),
}


@pytest.mark.parametrize(
    ("speculation", "sampling"),
    [(speculation, SAMPLINGS[2 + i % 3]) for i, speculation in enumerate(SPECULATIONS)]
    + [("drawn chain", SAMPLINGS[3]), ("beam, pruned", SAMPLINGS[2])],
)
def test_answers_follow_the_targets_distribution(speculation: str, sampling: Settings) -> None:
    assert p_value(sampled(speculation, sampling), exact(sampling)) > SURE


@pytest.mark.parametrize("speculation", ["drawn chain", "ranked chain, pruned", "beam, pruned"])
def test_speculation_cannot_be_told_from_plain_sampling(speculation: str) -> None:
    sampling = SAMPLINGS[1]
    plain, speculative = sampled("plain", sampling), sampled(speculation, sampling, first_seed=SEEDS)
    answers = [answer for answer in plain | speculative if plain[answer] + speculative[answer] >= 10]
    rare = [sum(counts.values()) - sum(counts[answer] for answer in answers) for counts in (plain, speculative)]
    table = np.array([[counts[answer] for answer in answers] for counts in (plain, speculative)])
    if min(rare) >= 5:
        table = np.column_stack([table, rare])
    assert chi2_contingency(table).pvalue > SURE


def always(target: Probabilities, proposals: Sequence[tuple[int, Probabilities | None]], luck: Iterator[float]) -> object:
    """Accepts whatever is proposed."""
    return (0, proposals[0][0]) if proposals else (None, pick(target, next(luck)))


def resampled(
    target: Probabilities, proposals: Sequence[tuple[int, Probabilities | None]], luck: Iterator[float]
) -> object:
    """Accepts as it should, but draws the rejected token's successor from the whole target."""
    for place, (token, q) in enumerate(proposals):
        if next(luck) * (1.0 if q is None else q[token]) < target[token]:
            return place, token
    return None, pick(target, next(luck))


@pytest.mark.parametrize("wrong", [always, resampled])
@pytest.mark.parametrize("speculation", ["drawn chain", "beam, pruned"])
def test_a_wrong_acceptance_is_noticed(wrong: object, speculation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "accept_or_resample", wrong)
    assert p_value(sampled(speculation, SAMPLINGS[0]), exact(SAMPLINGS[0])) < SURE


def sampled(speculation: str, settings: Settings, first_seed: int = 0) -> Counter[tuple[int, ...]]:
    """How often each answer came, over ``SEEDS`` seeds."""
    temperature, top_k, top_p = settings
    work = [
        Request(seed, "a", len(PROMPT), LENGTH, 0.0, prompt_ids=PROMPT, sampling=Sampling(temperature, top_k, top_p, seed))
        for seed in range(first_seed, first_seed + SEEDS)
    ]
    batching = VLLM(max_sequences=48) if "drawn" in speculation else Sarathi(token_budget=600, max_sequences=48)
    serve(PAIR, work, Policies(FCFS(), batching, SPECULATIONS[speculation]))
    if speculation != "plain":
        assert 0 < sum(request.accepted_tokens for request in work) < sum(request.drafted_tokens for request in work)
    return Counter(tuple(request.output_ids) for request in work)


@lru_cache
def exact(settings: Settings) -> dict[tuple[int, ...], float]:
    """The probability of every answer, from dense forwards."""
    chances = {(): 1.0}
    for _ in range(LENGTH):
        longer = {}
        for answer, chance in chances.items():
            after = expected(logits(PAIR.target, [*PROMPT, *answer])[-1].double().numpy(), settings)
            longer.update({(*answer, token): chance * after[token] for token in range(TOKENS) if after[token] > 0})
        chances = longer
    return chances


def expected(row: NDArray[np.float64], settings: Settings) -> NDArray[np.float64]:
    """What is left of a row of logits, said in plain words: heat, keep the best k, keep the best p."""
    temperature, top_k, top_p = settings
    chance = np.exp((row - row.max()) / temperature)
    ranked = sorted(range(TOKENS), key=lambda token: -chance[token])
    kept = ranked[: top_k or TOKENS]
    total = sum(chance[token] for token in kept)
    nucleus, mass = [], 0.0
    for token in kept:
        if mass < top_p:
            nucleus.append(token)
        mass += chance[token] / total
    left = np.zeros(TOKENS)
    left[nucleus] = chance[nucleus] / chance[nucleus].sum()
    return left


def p_value(counts: Counter[tuple[int, ...]], chances: dict[tuple[int, ...], float]) -> float:
    """Of the chi-square test that ``counts`` come from ``chances``; rare answers count together. 0 for an impossible one."""
    if set(counts) - set(chances):
        return 0.0
    total = sum(counts.values())
    often = [answer for answer, chance in chances.items() if chance * total >= 5]
    seen = [counts[answer] for answer in often]
    wanted = [chances[answer] * total for answer in often]
    if total - sum(wanted) >= 5:
        seen.append(total - sum(seen))
        wanted.append(total - sum(wanted))
    statistic = sum((a - b) ** 2 / b for a, b in zip(seen, wanted, strict=True))
    return float(chi2.sf(statistic, len(seen) - 1))


def test_the_exact_distribution_is_one() -> None:
    for settings in SAMPLINGS:
        assert sum(exact(settings).values()) == pytest.approx(1.0)
        assert len(list(product(range(TOKENS), repeat=LENGTH))) >= len(exact(settings)) > TOKENS
