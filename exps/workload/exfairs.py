"""ExFairS's workload: its artifact's scenarios, and the timetable of a run of rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from math import floor

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.errors import InputError
from exps.workload.adaserve_loads import AnswerLengths
from exps.workload.timetable import timetable

CONTEXT = 8124
Gaps = Callable[[np.random.Generator, float, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Sender:
    """``kind`` says what it sends: "short" or "long" prompts, or "mix". ``qpm`` requests a minute; ``slo_s`` end to end."""

    kind: str
    qpm: float
    slo_s: float


@dataclass(frozen=True)
class Scenario:
    """Rounds of ``round_s``, of which the last ``buffer_ratio`` (at most half) is silent, with ``sleep_s`` after each.

    A client gives up ``timeout_s`` after it sent a request.
    """

    clients: tuple[Sender, ...]
    rounds: int = 10
    round_s: float = 100.0
    sleep_s: float = 5.0
    buffer_ratio: float = 0.2
    distribution: str = "normal"
    output_cap: int = 256
    timeout_s: float = 30.0

    @property
    def names(self) -> list[str]:
        """Sender names: kind and place, as in short_0, long_1."""
        return [f"{client.kind}_{place}" for place, client in enumerate(self.clients)]

    @property
    def period_s(self) -> float:
        """From the start of one round to the start of the next."""
        return self.round_s + self.sleep_s


def _clients(kind: str, qpm: Sequence[float], slo_s: Sequence[float]) -> tuple[Sender, ...]:
    """A client for each rate; the SLOs repeat."""
    return tuple(Sender(kind, rate, slo) for rate, slo in zip(qpm, cycle(slo_s)))


SCENARIOS: Mapping[str, Scenario] = {
    name: Scenario(clients)
    for name, clients in {
        "early-1": _clients("short", (50, 50), (20,)) + _clients("long", (50, 50), (30,)),
        "early-2": _clients("short", (10, 10), (20,)) + _clients("long", (90, 90), (20,)),
        "early-3": _clients("mix", (20, 20, 40, 40), (15, 20)),
        "early-4": _clients("mix", (10, 10, 20, 20, 30, 30, 20, 20), (10, 15, 20, 25)),
        "early-5": _clients("mix", (5, 8, 12, 15) * 5, (5, 8, 10, 12, 15, 20)),
        "early-6": _clients("mix", (4,) * 50, (8, 10, 12, 15, 20)),
        "dec-1": _clients("short", (32, 32), (17, 19)) + _clients("long", (32, 32), (20, 24)),
        "dec-2": _clients("short", (32, 32), (16,)) + _clients("long", (32, 32), (18,)),
        "dec-3": _clients("short", (24, 24), (17, 18)) + _clients("long", (20,) * 4, (19, 19, 21, 21)),
        "dec-4": _clients("mix", (8,) * 4 + (24,) * 4, (14, 14, 15, 15, 17, 17, 19, 19)),
        "dec-5": _clients("mix", (8, 10, 12, 12, 12, 12, 14, 14, 16, 18), range(13, 20)),
    }.items()
}
"""The artifact's scenario files of early December 2025 and of its last commit.

Read so: a pair with a slash (rates of early-2, SLOs of dec-2) is short/long, and the SLOs 13 to 19 of dec-5 repeat.
"""


@dataclass(frozen=True)
class PromptLengths:
    """Log-normal lengths in tokens between ``shortest`` and ``longest``; the tails pile up there."""

    median: float
    sigma: float
    shortest: float
    longest: float

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        lengths = self.median * np.exp(self.sigma * rng.standard_normal(count))
        clipped: NDArray[np.float64] = np.clip(lengths, self.shortest, self.longest)
        return clipped


SHORT = PromptLengths(224.5 / 4, 1.69, 2 / 4, 10_096 / 4)
"""2000 ShareGPT prompts by the artifact's statistics, four characters a token: minimum 2, median 224.5, mean 789, maximum
10,096 characters; sigma follows from the mean."""

LONG = PromptLengths(4_000.0, 0.75, 500.0, 32_000.0)
"""The artifact's file of LongBench tasks is not public. The median is the one at which FCFS comes closest to the latencies
that the artifact states (exps.calibrate.exfairs); the spread is an assumption."""

SHORT_ANSWERS, LONG_ANSWERS = AnswerLengths(), AnswerLengths(shortest=16, at_cap=0.3)
"""An assumption: answers to long prompts are shorter, as the artifact's remark that they take 13 s beside 17 s suggests."""

FLOOR_S = 0.001
GAPS: Mapping[str, Gaps] = {
    "poisson": lambda rng, mean, count: rng.exponential(mean, count),
    "normal": lambda rng, mean, count: np.maximum(rng.normal(mean, 0.3 * mean, count), FLOOR_S),
    "fixed": lambda rng, mean, count: np.full(count, mean),
}


def rounds_timetable(
    scenario: Scenario,
    seed: int = 0,
    context: int = CONTEXT,
    load: float = 1.0,
    slo_scale: float = 1.0,
    long: PromptLengths | None = None,
) -> pl.DataFrame:
    """The timetable of all rounds; ``category`` is the client's kind.

    A client sends floor(round_s * qpm / 60) requests a round. Prompts are cut to what ``context`` leaves beside
    ``output_cap`` tokens. ``load`` multiplies the rates and ``slo_scale`` the SLOs, ``long`` replaces the lengths of long
    prompts; with any of them the n-th request of a client stays otherwise as it was. Raises InputError where context,
    distribution or load do not serve.
    """
    if context <= scenario.output_cap:
        raise InputError(
            f"a context of {context} tokens leaves no room for a prompt beside {scenario.output_cap} output tokens;"
            " choose a model with a longer one."
        )
    if scenario.distribution not in GAPS:
        raise InputError(f"unknown distribution {scenario.distribution!r}; choose one of {', '.join(GAPS)}.")
    if scenario.rounds < 1 or not any(_sent(scenario, load * client.qpm) for client in scenario.clients):
        raise InputError(f"at a load of {load:g} nobody sends a request within {scenario.round_s:g} s; choose a higher one.")
    parts = []
    for place, (name, client) in enumerate(zip(scenario.names, scenario.clients, strict=True)):
        gaps, *lengths = (np.random.default_rng(key) for key in np.random.SeedSequence([seed, place]).spawn(6))
        arrival_s = _arrivals(scenario, load * client.qpm, gaps)
        prompt, output = _lengths(client.kind, len(arrival_s), scenario.output_cap, lengths, long or LONG)
        columns = {
            "arrival_s": arrival_s,
            "prompt_tokens": np.minimum(prompt, context - scenario.output_cap),
            "output_tokens": output,
        }
        fixed = {"client": name, "category": client.kind, "slo_s": slo_scale * client.slo_s, "patience_s": scenario.timeout_s}
        parts.append(pl.DataFrame(columns).with_columns(pl.lit(value).alias(key) for key, value in fixed.items()))
    return timetable(pl.concat(parts).to_dict())


def _sent(scenario: Scenario, qpm: float) -> int:
    """Requests of a client in a round."""
    return floor(round(scenario.round_s * qpm / 60, 6))


def _arrivals(scenario: Scenario, qpm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Seconds from the start of the run, round after round.

    Gaps are compressed so that a round's requests fall before its buffer; a draw that would still reach into it is
    compressed further.
    """
    count = _sent(scenario, qpm)
    if not count:
        return np.empty(0)
    share = 1 - min(scenario.buffer_ratio, 0.5)
    arrivals = []
    for number in range(scenario.rounds):
        sent = share * np.cumsum(GAPS[scenario.distribution](rng, 60 / qpm, count))
        fits = min(1.0, share * scenario.round_s / sent[-1])
        arrivals.append(number * scenario.period_s + fits * sent)
    return np.concatenate(arrivals)


def _lengths(
    kind: str, count: int, cap: int, rngs: Sequence[np.random.Generator], long: PromptLengths
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompt and output tokens; a mix draws short and long alike."""
    kinds, *prompts, long_answers, short_answers = rngs
    is_long = kinds.random(count) < {"short": 0.0, "long": 1.0, "mix": 0.5}[kind]
    prompt = np.where(is_long, *(lengths.draw(rng, count) for lengths, rng in zip((long, SHORT), prompts, strict=True)))
    longer, shorter = (
        replace(lengths, cap=cap, shortest=min(lengths.shortest, cap)).draw(count, rng)
        for lengths, rng in ((LONG_ANSWERS, long_answers), (SHORT_ANSWERS, short_answers))
    )
    return np.maximum(np.rint(prompt), 1).astype(np.int64), np.where(is_long, longer, shorter)
