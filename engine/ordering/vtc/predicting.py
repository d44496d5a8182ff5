"""How long an answer will be, guessed when its request is admitted (Sheng et al., OSDI 2024, appendix on prediction)."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod

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


class RunningMean(Predictor):
    """A mean of the client's answers so far in which the last counts a fifth; nothing before the first.

    A client without an ended request for a day is forgotten.
    """

    def __init__(self) -> None:
        self._means = Recent(float, DAY_S)

    def predict(self, request: Request) -> float:
        return self._means.get(request.client) or 0.0

    def learn(self, request: Request, now: float) -> None:
        mean = self._means.get(request.client)
        before = request.generated if mean is None else mean
        self._means.put(request.client, PAST * before + (1 - PAST) * request.generated, now)
        self._means.forget(now)
