"""Deficit round-robin, adapted to answers of unknown length (Sheng et al., OSDI 2024, appendix C.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush, heapreplace

from engine.horizon import ENDLESS, Horizon
from engine.ordering.base import Ordering
from engine.ordering.mechanics.giving_way import newest_of_last
from engine.ordering.mechanics.weights import check_token_weights
from engine.request import Request

POOL_PARTS = 20


class DRR(Ordering):
    """Clients take turns, round after round; the one whose turn it is goes on while its credit is positive.

    At each turn a waiting client without credit is given ``quantum``, by default a twentieth of the KV pool. Prompts are
    paid at admission, output tokens as they come, so that credit may become negative. A client without requests loses its
    credit and keeps its debt, which the rounds go on paying off; with ``quantum`` towards 0 this becomes VTC. The rounds
    in which nobody can go are passed over at once: a heap holds the round at which each client can.
    """

    def __init__(self, quantum: float | None = None, w_p: float = 1.0, w_q: float = 2.0):
        if quantum is not None and not quantum > 0:
            raise ValueError(f"quantum must be above 0, not {quantum:g}")
        check_token_weights(w_p=w_p, w_q=w_q)
        self.quantum, self.w_p, self.w_q = quantum or 1.0, w_p, w_q
        self._of_pool = quantum is None
        self.credits: dict[str, float] = {}
        self._since: dict[str, int] = {}
        self._lines: dict[str, deque[Request]] = {}
        self._running: dict[str, int] = {}
        self._turns: list[tuple[int, int, str]] = []
        self._in_debt: list[tuple[int, str]] = []
        self._last: str | None = None
        self._round = self._places = self._waiting = 0

    def on_pool(self, tokens: int) -> None:
        if self._of_pool:
            self.quantum = tokens / POOL_PARTS

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
            if (able := self._able(client)) > turn:
                heapreplace(turns, (able, place, client))
            else:
                return self._lines[client][0]
        return None

    def on_admit(self, request: Request, now: float) -> None:
        client = request.client
        lacks = self._lacks(client)
        self._round = max(self._round, self._since[client] + lacks)
        self._since[client] = self._round
        self.credits[client] += lacks * self.quantum
        self._lines[client].popleft()
        self._waiting -= 1
        self._running[client] = self._running.get(client, 0) + 1
        if not request.preemptions:
            self.credits[client] -= self.w_p * request.prompt_tokens
        if not self._lines[client]:
            self._last = client
        if not self._lines[client] or self.credits[client] <= 0:
            heappop(self._turns)
            if self._lines[client]:
                self._take_place(client)
        self._forget()

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        for client, tokens in by_client.items():
            self.credits[client] -= self.w_q * tokens

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        """A turn lasts as long as the credit; half of that, however its differences are rounded."""
        client = self._turns[0][-1] if self._turns else None
        if client is None or not (paid := self.w_q * by_client.get(client, 0)):
            return ENDLESS
        return Horizon(max(1, int(self.credits[client] / (2 * paid))))

    def on_finish(self, request: Request, now: float) -> None:
        self._running[request.client] -= 1
        self._rest(request.client)

    def withdraw(self, request: Request, now: float) -> None:
        client = request.client
        self._lines[client].remove(request)
        self._waiting -= 1
        if not self._lines[client]:
            self._turns = [turn for turn in self._turns if turn[-1] != client]
            heapify(self._turns)
            self._rest(client)

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        """The newest request of the client whose next turn is furthest away."""
        return None if waiting else newest_of_last(running, lambda request: self._able(request.client))

    def __len__(self) -> int:
        return self._waiting

    def _line(self, client: str) -> deque[Request]:
        line = self._lines.setdefault(client, deque())
        if not line:
            self._pass_rounds()
            if client not in self.credits or self._able(client) <= self._round:
                self.credits[client] = max(self.credits[client], 0.0) if self._running.get(client) else 0.0
                self._since[client] = self._round
            self._take_place(client)
        return line

    def _pass_rounds(self) -> None:
        """Up to the round before the next one in which a waiting client can go, or in which the last to leave could."""
        first = self.next(0.0)
        client = first.client if first else self._last
        if client is not None and client in self.credits:
            self._round = max(self._round, self._able(client) - 1)

    def _rest(self, client: str) -> None:
        """A client that neither waits nor runs is forgotten as soon as its debt is paid off."""
        if not self._running.get(client) and not self._lines.get(client):
            heappush(self._in_debt, (self._able(client), client))
            self._forget()

    def _forget(self) -> None:
        while self._in_debt and self._in_debt[0][0] <= self._round + 1:
            _, client = heappop(self._in_debt)
            if client in self.credits and not self._running.get(client) and not self._lines.get(client):
                self._lines.pop(client, None)
                self._running.pop(client, None)
                del self.credits[client], self._since[client]

    def _take_place(self, client: str) -> None:
        self._places += 1
        heappush(self._turns, (self._able(client), self._places, client))

    def _able(self, client: str) -> int:
        """The round at which the client's credit is positive."""
        return self._since[client] + self._lacks(client)

    def _lacks(self, client: str) -> int:
        credit = self.credits[client]
        return 0 if credit > 0 else int(-credit // self.quantum) + 1
