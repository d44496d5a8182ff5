"""Deficit round-robin, adapted to answers of unknown length (Sheng et al., OSDI 2024, appendix C.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush, heapreplace

from engine.ordering.base import Ordering
from engine.ordering.mechanics.weights import check_token_weights
from engine.request import Request


class DRR(Ordering):
    """Clients take turns, round after round; the one whose turn it is goes on while its credit is positive.

    At each turn a waiting client without credit is given ``quantum``. Prompts are paid at admission, output tokens as
    they come, so that credit may become negative; with ``quantum`` towards 0 this becomes VTC. The rounds in which
    nobody can go are passed over at once: a heap holds the round at which each client can.
    """

    def __init__(self, quantum: float = 500.0, w_p: float = 1.0, w_q: float = 2.0):
        if not quantum > 0:
            raise ValueError(f"quantum must be above 0, not {quantum:g}")
        check_token_weights(w_p=w_p, w_q=w_q)
        self.quantum, self.w_p, self.w_q = quantum, w_p, w_q
        self.credits: dict[str, float] = {}
        self._since: dict[str, int] = {}
        self._lines: dict[str, deque[Request]] = {}
        self._running: dict[str, int] = {}
        self._turns: list[tuple[int, int, str]] = []
        self._round = self._places = self._waiting = 0

    def enqueue(self, request: Request) -> None:
        self._line(request.client).append(request)
        self._waiting += 1

    def requeue(self, request: Request) -> None:
        self._running[request.client] -= 1
        self._line(request.client).appendleft(request)
        self._waiting += 1

    def next(self, now: float) -> Request | None:
        turns = self._turns
        while turns:
            turn, place, client = turns[0]
            if not self._lines.get(client):
                heappop(turns)
            elif (able := self._since[client] + self._lacks(client)) > turn:
                heapreplace(turns, (able, place, client))
            else:
                return self._lines[client][0]
        return None

    def on_admit(self, request: Request, now: float) -> None:
        client, lacks = request.client, self._lacks(request.client)
        self._round = max(self._round, self._since[client] + lacks)
        self._since[client] = self._round
        self.credits[client] += lacks * self.quantum
        self._lines[client].popleft()
        self._waiting -= 1
        self._running[client] = self._running.get(client, 0) + 1
        if not request.preemptions:
            self.credits[client] -= self.w_p * request.prompt_tokens
        if not self._lines[client] or self.credits[client] <= 0:
            heappop(self._turns)
            if self._lines[client]:
                self._take_place(client)

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        for client, tokens in by_client.items():
            self.credits[client] -= self.w_q * tokens

    def on_finish(self, request: Request, now: float) -> None:
        client = request.client
        self._running[client] -= 1
        if not self._running[client] and not self._lines[client]:
            for table in (self._running, self._lines, self.credits, self._since):
                del table[client]

    def __len__(self) -> int:
        return self._waiting

    def _line(self, client: str) -> deque[Request]:
        line = self._lines.setdefault(client, deque())
        self.credits.setdefault(client, 0.0)
        if not line:
            self._since[client] = self._round
            self._take_place(client)
        return line

    def _take_place(self, client: str) -> None:
        self._places += 1
        heappush(self._turns, (self._since[client] + self._lacks(client), self._places, client))

    def _lacks(self, client: str) -> int:
        """Rounds until the client's credit is positive."""
        credit = self.credits[client]
        return 0 if credit > 0 else int(-credit // self.quantum) + 1
