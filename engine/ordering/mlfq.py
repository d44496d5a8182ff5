"""FastServe's skip-join multi-level feedback queue (Wu et al., NSDI 2026)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from engine.horizon import ENDLESS, ONE_STEP, Horizon
from engine.ordering.mechanics.giving_way import least_urgent
from engine.ordering.mechanics.ranked import Ranked
from engine.request import Request


class MLFQ(Ranked):
    """Requests join at the first level whose quantum covers their prefill, and sink as quanta are used up.

    Level k has a quantum of ``quantum`` * 2^k output tokens; a prompt token counts for ``prompt_weight`` of an output
    token, because a prefill computes them together. Whoever waited ``starvation_s`` is promoted to the top.

    A waiting request that finds no seat or no room takes it from a running one of a lower level. FastServe moves the KV of
    whom it pauses to host memory: give the batching ``swap_tokens``, else it is computed again.
    """

    def __init__(self, quantum: float = 1.0, levels: int = 10, prompt_weight: float = 0.01, starvation_s: float = 10.0):
        super().__init__()
        if not (quantum > 0 and starvation_s > 0) or levels < 1 or prompt_weight < 0:
            raise ValueError("quantum and starvation_s must be above 0, levels at least 1, prompt_weight not negative")
        self.quantum, self.levels = quantum, levels
        self.prompt_weight, self.starvation_s = prompt_weight, starvation_s
        self._promoted: dict[int, int] = {}
        self._watched: deque[tuple[float, tuple[float, int], Request]] = deque()
        self._now = 0.0

    def rank(self, request: Request) -> float:
        prefill, level = self.prompt_weight * request.prompt_tokens, 0
        while level < self.levels - 1 and prefill > self._quantum(level):
            level += 1
        return level

    def on_arrival(self, request: Request, now: float) -> str | None:
        self.on_pass(now)
        return super().on_arrival(request, now)

    def enqueue(self, request: Request) -> None:
        self._wait(request, self.rank(request))

    def requeue(self, request: Request) -> None:
        self._wait(request, self.level(request), first=True)

    def level(self, request: Request) -> int:
        """Where a request stands that was served for a while since it joined, or since it was promoted."""
        promoted = self._promoted.get(request.id)
        if promoted is None:
            level, served = int(self.rank(request)), self.prompt_weight * request.prompt_tokens + request.generated
        else:
            level, served = 0, float(request.generated - promoted)
        while level < self.levels - 1 and served >= self._quantum(level):
            served -= self._quantum(level)
            level += 1
        return level

    def withdraw(self, request: Request, now: float) -> None:
        super().withdraw(request, now)
        self._promoted.pop(request.id, None)

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        return least_urgent(running, waiting, self.level)

    def on_pass(self, now: float) -> None:
        self._now = now
        while self._watched:
            since, place, request = self._watched[0]
            waits = self.waits_at(request) == place
            if waits and now - since < self.starvation_s:
                return
            self._watched.popleft()
            if waits:
                self._promoted[request.id] = request.generated
                self.place(request, 0)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        """Levels of running requests, which decide who gives way, sink with their tokens."""
        return ONE_STEP if len(self) else ENDLESS

    def on_finish(self, request: Request, now: float) -> None:
        self._promoted.pop(request.id, None)

    def _wait(self, request: Request, level: float, first: bool = False) -> None:
        self._watched.append((self._now, self.place(request, level, first), request))

    def _quantum(self, level: int) -> float:
        return self.quantum * 2.0**level
