"""Justitia as ExFairS's artifact has it: the least virtual finish goes next."""

from __future__ import annotations

from engine.ordering.mechanics.ranked import Ranked
from engine.request import Request


class Justitia(Ranked):
    """A request finishes virtually at V + C, fixed when it comes: V = ``memory`` / running requests, or ``memory`` if none.

    C = in * out + out^2 / 2 is the memory over time of its prompt and of the longest answer, ``max_output`` tokens.
    ``memory`` is the pool in tokens; the default is what the artifact falls back to, in MiB.
    """

    def __init__(self, memory: float = 262_144.0, max_output: int = 256):
        super().__init__()
        if not (memory > 0 and max_output > 0):
            raise ValueError(f"memory and max_output must be above 0, not {memory:g} and {max_output}")
        self.memory, self.max_output = memory, max_output
        self.running = 0

    def rank(self, request: Request) -> float:
        cost = request.prompt_tokens * self.max_output + self.max_output**2 / 2
        return self.memory / max(self.running, 1) + cost

    def requeue(self, request: Request) -> None:
        self.running -= 1
        super().requeue(request)

    def on_admit(self, request: Request, now: float) -> None:
        self.running += 1
        super().on_admit(request, now)

    def on_finish(self, request: Request, now: float) -> None:
        self.running -= 1
