"""Priorities that change from round to round."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, inf

from engine.horizon import Horizon
from engine.ordering.base import Ordering
from engine.ordering.mechanics.insertion import Advance, PartialQueue
from engine.ordering.mechanics.recent import Recent
from engine.ordering.mechanics.rounds import Rounds, Tally, lasts_until_s
from engine.request import Request


@dataclass(slots=True)
class Account:
    """``priority``: smaller is more urgent. ``credit``: a ledger of what the client gave up, which decides nothing."""

    priority: float = 0.0
    credit: float = 0.0


class ByRounds(Ordering):
    """A newcomer enters the line by its client's priority, which ``end_round`` sets from how the clients fared.

    A round ends with the first event at or after its end, and concerns later newcomers only. Nobody passes a request of
    an earlier era of ``era_s``. A client without requests for ``keep_s`` is forgotten; ``departed`` sums such credits.
    A request that the engine refuses counts as submitted and violated in the round of its arrival.
    """

    def __init__(self, round_s: float, advance: Advance, max_positions: int, keep_s: float, era_s: float = inf):
        if not era_s > 0:
            raise ValueError(f"an era must be longer than 0 s, not {era_s:g}")
        self.accounts = Recent(Account, keep_s)
        self.departed = 0.0
        self.round_s = round_s
        self._rounds = Rounds(round_s)
        self._line = PartialQueue(advance, max_positions)
        self._era_s, self._now = era_s, 0.0

    @abstractmethod
    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        """One round ended, or ``rounds`` in which nothing happened."""

    @property
    def priorities(self) -> dict[str, float]:
        return {client: account.priority for client, account in self.accounts.items()}

    @property
    def credits(self) -> dict[str, float]:
        return {client: account.credit for client, account in self.accounts.items()}

    def account(self, client: str) -> Account:
        return self.accounts.touch(client, self._now)

    def on_arrival(self, request: Request, now: float) -> str | None:
        self.on_pass(now)
        return super().on_arrival(request, now)

    def on_refused(self, request: Request) -> None:
        self.on_pass(max(self._now, request.arrival_s))
        self._rounds.refuse(request)

    def enqueue(self, request: Request) -> None:
        self._rounds.submit(request)
        self._line.insert(request, self.account(request.client).priority, floor(self._now / self._era_s))

    def requeue(self, request: Request) -> None:
        self._line.put_back(request)

    def next(self, now: float) -> Request | None:
        return self._line.head()

    def on_pass(self, now: float) -> None:
        self._now = now
        if self._rounds.over(now):
            for tallies, rounds in self._rounds.ended(now):
                self.end_round(tallies, rounds)
                self.departed += sum(account.credit for account in self.accounts.forget(now))

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        return Horizon(inf, lasts_until_s(self._rounds.number, self.round_s))

    def on_admit(self, request: Request, now: float) -> None:
        self._line.pop()

    def withdraw(self, request: Request, now: float) -> None:
        self.on_pass(now)
        self._line.remove(request)
        self._rounds.finish(request, now)

    def on_finish(self, request: Request, now: float) -> None:
        self.on_pass(now)
        self._rounds.finish(request, now)

    def __len__(self) -> int:
        return len(self._line)
