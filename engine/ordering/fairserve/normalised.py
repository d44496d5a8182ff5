"""What a request costs when it is held against what its application usually needs (FairServe's weighted service)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from engine.request import Expected, Request

Usual = tuple[Expected, int, float]
"""What a request is held against: expected lengths, how much of its prompt is the system's, and a factor."""

Standard = Callable[[Request], "Usual | None"]


def of_request(request: Request) -> Usual | None:
    """What the request itself says of its application."""
    return (request.expected, request.system_tokens, 1.0) if request.expected else None


CLIENT_TABLE: tuple[Usual, ...] = tuple(
    (Expected(input, system, output), system_tokens, priority)
    for input, system, output, system_tokens, priority in (
        (50, 100, 258, 10, 1), (580, 2000, 258, 200, 1), (512, 880, 512, 88, 2), (512, 1500, 512, 150, 5),
        (512, 1200, 512, 120, 1), (512, 1600, 512, 160, 1), (512, 1740, 512, 174, 1), (512, 1960, 512, 196, 1),
        (512, 1440, 512, 144, 1), (512, 1300, 512, 130, 1),
    )
)


def of_client(request: Request) -> Usual | None:
    """The artifact's table, by the number that the client's name ends with, modulo 10."""
    return _of_name(request.client)


@lru_cache(maxsize=4096)
def _of_name(client: str) -> Usual | None:
    number = re.search(r"\d+$", client)
    return CLIENT_TABLE[int(number[0]) % len(CLIENT_TABLE)] if number else None


@dataclass(frozen=True)
class TokenWeights:
    """What a token of the input, of the system prompt and of the output weighs."""

    input: float
    system: float
    output: float


class Charge:
    """Cost of a request, in parts that are 0 unless a kind of charge says more; ``standard`` must know the request."""

    def __init__(self, standard: Standard, weights: TokenWeights):
        self._standard, self._weights = standard, weights

    def on_admit(self, request: Request) -> tuple[float, float]:
        """Of the prompt, and of each output token to come."""
        return 0.0, 0.0

    def on_finish(self, request: Request) -> float:
        return 0.0

    def usual(self, request: Request) -> Usual:
        usual = self._standard(request)
        assert usual is not None, f"request {request.id} has no expected lengths"
        return usual


class Whole(Charge):
    """Weighted tokens over weighted expected tokens, at the end: a request exactly as long as expected costs 1."""

    def on_finish(self, request: Request) -> float:
        (expected, system_tokens, priority), w = self.usual(request), self._weights
        system = min(system_tokens, request.prompt_tokens)
        served = w.input * (request.prompt_tokens - system) + w.system * system + w.output * request.generated
        return priority * served / (w.input * expected.input + w.system * expected.system + w.output * expected.output)


class Ratio(Charge):
    """Each kind of token over its own expectation, as it comes: a request exactly as long as expected costs 4."""

    def on_admit(self, request: Request) -> tuple[float, float]:
        (expected, system_tokens, priority), w = self.usual(request), self._weights
        system = min(system_tokens, request.prompt_tokens)
        own = (request.prompt_tokens - system) / expected.input
        return priority * (w.input * own + w.system * system / expected.system), priority * w.output / expected.output


CHARGES: dict[str, type[Charge]] = {"whole": Whole, "ratio": Ratio}
