"""The contract of a placement policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from engine.request import Request


class Seen(Protocol):
    """What a policy sees of a replica, as it is now.

    ``counts``: requests there that are not done, by adapter (BASE without one). ``capacity``: KV blocks. ``requests`` are
    those not done, in the order in which they came.
    """

    @property
    def number(self) -> int: ...

    @property
    def counts(self) -> Mapping[str, int]: ...

    @property
    def capacity(self) -> int: ...

    def requests(self) -> Sequence[Request]: ...

    def blocks(self, request: Request) -> int:
        """KV blocks of its prompt and its answer so far."""
        ...


@dataclass(frozen=True, slots=True)
class Move:
    """A request goes on at another replica."""

    request: Request
    target: int


class Placement(ABC):
    """Sends each request to one of ``replicas`` replicas, and may move it later.

    Every ``period_s`` seconds it is asked for moves. ``transfers``: the keys and values of a request go along, else they are
    computed again. ``fails`` says which replica fails for good and when, as in "3@20;5@60": replica 3 after 20 s.
    """

    period_s: float = inf
    transfers: bool = False

    def __init__(self, replicas: int = 1, fails: str = ""):
        if replicas < 1:
            raise ValueError(f"replicas must be at least 1, not {replicas}")
        self.replicas, self.failures = replicas, _failures(fails, replicas)

    def begin(self, adapters: Sequence[str], room: int) -> list[list[str]]:
        """The adapters that each replica has when the first request comes; each has ``room`` for so many, apart from what
        the policy leaves to keys and values. Without a word about it each has all."""
        return [list(adapters) for _ in range(self.replicas)]

    @abstractmethod
    def dispatch(self, request: Request, replicas: Sequence[Seen]) -> int:
        """The number of one of ``replicas``, those that have not failed, which serves the request."""

    def rebalance(self, replicas: Sequence[Seen]) -> Sequence[Move]:
        """Requests that are to go on elsewhere."""
        return ()

    def on_done(self, request: Request) -> None:
        """A request has come to its end."""

    def facts(self) -> dict[str, float]:
        """What there is to tell of a run."""
        return {}


def _failures(text: str, replicas: int) -> list[tuple[float, int]]:
    """Seconds and replica of each failure."""
    failures = []
    for part in filter(None, text.split(";")):
        number, _, at_s = part.partition("@")
        if not (number.isdecimal() and int(number) < replicas and at_s.replace(".", "", 1).isdecimal()):
            raise ValueError(f"fails={part} is no failure of one of {replicas} replicas; write 0@20 for the first after 20 s")
        failures.append((float(at_s), int(number)))
    return failures


def fewest_requests(replicas: Sequence[Seen]) -> Seen:
    """The replica with fewest requests, the first of several."""
    return min(replicas, key=lambda replica: sum(replica.counts.values()))
