"""How long an answer will be, guessed when its request is admitted (Sheng et al., OSDI 2024, appendix on prediction)."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

from engine.ordering.mechanics.recent import DAY_S, Recent
from engine.request import Request

PAST = 0.8


class Predictor(ABC):
    @abstractmethod
    def predict(self, request: Request) -> float:
        """Output tokens that the request is charged for in advance."""

    def learn(self, request: Request, now: float) -> None:
        """A request ended; its length is known."""


class Oracle(Predictor):
    """The true length, off by at most the share ``spread`` of it, uniformly."""

    def __init__(self, spread: float, seed: int):
        self._spread, self._random = spread, random.Random(seed)

    def predict(self, request: Request) -> float:
        length = request.output_tokens
        return length * self._random.uniform(1 - self._spread, 1 + self._spread) if self._spread else length


@dataclass(slots=True)
class _Mean:
    tokens: float = 0.0


class RunningMean(Predictor):
    """A mean of the client's answers so far in which the last counts a fifth; nothing before the first.

    A client without an ended request for a day is forgotten.
    """

    def __init__(self) -> None:
        self._means = Recent(_Mean, DAY_S)

    def predict(self, request: Request) -> float:
        mean = self._means.get(request.client)
        return mean.tokens if mean else 0.0

    def learn(self, request: Request, now: float) -> None:
        known = self._means.get(request.client)
        before = known.tokens if known else float(request.generated)
        self._means.touch(request.client, now).tokens = PAST * before + (1 - PAST) * request.generated
        for _ in self._means.forget(now):
            pass
