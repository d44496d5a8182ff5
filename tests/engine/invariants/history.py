"""What an observer noted of a run: service by client after every step, and who waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.request import FINISHED, WAITING, Request
from tests.engine.strategies import Log

W_P, W_Q = 1.0, 2.0
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class History(Log):
    """An observer of a run of ``requests``, which hands in the ``late`` ones by ``submit`` when ``after`` steps are done."""

    def __init__(self, requests: Sequence[Request], late: Sequence[Request] = (), after: int = 1):
        super().__init__()
        self.requests = [*requests, *late]
        self.waited: list[frozenset[str]] = []
        self.submit: Callable[[Request], None] = _nowhere
        self._late, self._after = list(late), after
        for request in late:
            request.arrival_s = inf

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        super().step_done(start_s, end_s, prompt, output)
        while self._late and len(self.steps) >= self._after:
            request = self._late.pop(0)
            request.arrival_s = end_s
            self.submit(request)
        self.waited.append(frozenset(r.client for r in self.requests if r.status == WAITING and r.arrival_s <= start_s))

    @property
    def clients(self) -> list[str]:
        return sorted({request.client for request in self.requests})

    def starts_s(self) -> Floats:
        return np.array([step.start_s for step in self.steps])

    def service(self, client: str) -> Floats:
        """W(0, t) of a client before the first step and after each."""
        served = [W_P * step.prompt.get(client, 0) + W_Q * step.output.get(client, 0) for step in self.steps]
        return np.concatenate([[0.0], np.cumsum(served)])

    def backlogged(self, client: str) -> Bools:
        """Whether a request of the client waited throughout each step."""
        return np.array([client in waited for waited in self.waited], dtype=bool)

    def finished(self) -> list[Request]:
        return [request for request in self.requests if request.status == FINISHED]

    def admissions(self) -> list[int]:
        """Requests in the order in which they were admitted; those that entered with the same step by number."""
        return [r.id for r in sorted(self.requests, key=lambda r: (r.admitted_s or 0.0, r.id)) if r.admitted_s is not None]

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The run as exps.metrics.service reads it: requests, and intervals of service."""
        records = [(r.client, r.arrival_s, r.admitted_s, r.status) for r in self.requests]
        requests = pl.DataFrame(records, ["client", "arrival_s", "admitted_s", "status"], orient="row")
        rows = [
            (client, step.start_s, step.end_s, W_P * step.prompt.get(client, 0) + W_Q * step.output.get(client, 0))
            for step in self.steps
            for client in {**step.prompt, **step.output}
        ]
        return requests, pl.DataFrame(rows, ["client", "start_s", "end_s", "service"], orient="row")


def _nowhere(request: Request) -> None:
    raise AssertionError(f"request {request.id} comes late, and nobody takes it")


def stretches(mask: Bools) -> Iterator[slice]:
    """Steps next to one another at which ``mask`` holds, as a slice of a curve that has one point more than steps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    return (slice(int(begin), int(end) + 1) for begin, end in edges.reshape(-1, 2))


def most_together(requests: Sequence[Request]) -> int:
    """The most tokens, prompts and whole answers, of requests that were in the batch at one time."""
    ran = [request for request in requests if request.finished_s is not None]
    moves: Counter[tuple[float, int]] = Counter()
    for request in ran:
        tokens = request.prompt_tokens + request.output_tokens
        moves[request.admitted_s or 0.0, 1] += tokens
        moves[request.finished_s or 0.0, 0] -= tokens
    return int(np.cumsum([0, *(moves[move] for move in sorted(moves))]).max())


def unit(requests: Sequence[Request], tokens: int) -> float:
    """U = max(w_p L, w_q M): L the longest prompt, M ``tokens``."""
    return max(W_P * max(request.prompt_tokens for request in requests), W_Q * tokens)
