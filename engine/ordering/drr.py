"""Deficit round-robin, adapted to answers of unknown length (Sheng et al., OSDI 2024, appendix C.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from engine.ordering.base import Ordering
from engine.request import Request


class DRR(Ordering):
    """Clients take turns; the one at the front goes on while its credit is positive.

    A client at its turn without credit is given ``quantum``. Prompts are paid at admission, output tokens as they come,
    so that credit may become negative; with ``quantum`` towards 0 this becomes VTC.
    """

    def __init__(self, quantum: float = 500.0, w_p: float = 1.0, w_q: float = 2.0):
        if not quantum > 0:
            raise ValueError(f"quantum must be above 0, not {quantum:g}")
        self.quantum, self.w_p, self.w_q = quantum, w_p, w_q
        self.credits: dict[str, float] = {}
        self._turns: deque[str] = deque()
        self._lines: dict[str, deque[Request]] = {}
        self._running: dict[str, int] = {}
        self._waiting = 0

    def enqueue(self, request: Request) -> None:
        self._line(request.client).append(request)
        self._waiting += 1

    def requeue(self, request: Request) -> None:
        self._running[request.client] -= 1
        self._line(request.client).appendleft(request)
        self._waiting += 1

    def next(self, now: float) -> Request | None:
        if not self._turns:
            return None
        if self.credits[self._turns[0]] <= 0:
            self._give_credit()
        return self._lines[self._turns[0]][0]

    def on_admit(self, request: Request, now: float) -> None:
        client = request.client
        line = self._lines[client]
        line.popleft()
        self._waiting -= 1
        self._running[client] = self._running.get(client, 0) + 1
        if not request.preemptions:
            self.credits[client] -= self.w_p * request.prompt_tokens
        if not line:
            self._turns.popleft()
        elif self.credits[client] <= 0:
            self._turns.rotate(-1)

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        for client, tokens in by_client.items():
            self.credits[client] -= self.w_q * tokens

    def on_finish(self, request: Request, now: float) -> None:
        self._running[request.client] -= 1
        if not self._running[request.client] and not self._lines[request.client]:
            for table in (self._running, self._lines, self.credits):
                del table[request.client]

    def __len__(self) -> int:
        return self._waiting

    def _line(self, client: str) -> deque[Request]:
        line = self._lines.setdefault(client, deque())
        self.credits.setdefault(client, 0.0)
        if not line:
            self._turns.append(client)
        return line

    def _give_credit(self) -> None:
        """As many whole rounds as it takes until someone can go, then on to the first who can."""
        rounds = min(self._rounds_needed(client) for client in self._turns)
        passed = 0
        for client in self._turns:
            if self._rounds_needed(client) <= rounds:
                break
            passed += 1
        for place, client in enumerate(self._turns):
            turns = rounds if place <= passed else rounds - 1
            if self.credits[client] <= 0:
                self.credits[client] += turns * self.quantum
        self._turns.rotate(-passed)

    def _rounds_needed(self, client: str) -> int:
        credit = self.credits[client]
        return 0 if credit > 0 else int(-credit // self.quantum) + 1
