"""dLoRA's placement: least cost at arrival, and every few seconds requests move with their adapters."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from engine.adapters.queue import adapter_of
from engine.placement.base import Move, Seen
from engine.placement.least_cost import SEATS, LeastCost
from engine.placement.pair import Pair
from engine.request import Request

FULL = 0.9
UNKNOWN_S = 5.0
SOLVER_S_PER_REQUEST = 2e-4


class Migrating(LeastCost):
    """Every ``period_s`` the two replicas that differ most share their requests out anew (``solve``, cut at ``nodes``).

    ``kv`` "transferred" takes the keys and values of moved requests along, "recomputed" does not. ``blocks_per_s``: KV blocks
    that can be swapped a second, as the program reckons. ``seed`` draws the adapter that every replica has from the start.
    """

    def __init__(
        self, replicas: int = 1, period_s: float = 10.0, kv: str = "recomputed", nodes: int = 200,
        blocks_per_s: float = 4096.0, seed: int = 0, fails: str = "",
    ):
        super().__init__(replicas, fails)
        if kv not in ("recomputed", "transferred"):
            raise ValueError(f"kv must be recomputed or transferred, not {kv}")
        self.period_s, self.transfers, self._nodes, self._blocks_per_s = period_s, kv == "transferred", nodes, blocks_per_s
        self._random = Random(seed)
        self._ran: dict[str, tuple[float, int]] = {}
        self._solved = self._moved = 0
        self._solver_s = 0.0

    def _widespread(self, adapters: Sequence[str]) -> Sequence[str]:
        return [self._random.choice(adapters)] if adapters else ()

    def on_done(self, request: Request) -> None:
        total, count = self._ran.get(adapter_of(request), (0.0, 0))
        self._ran[adapter_of(request)] = total + request.computed_s, count + 1

    def rebalance(self, replicas: Sequence[Seen]) -> Sequence[Move]:
        from engine.placement.ilp import solve  # loads SciPy, 40 MiB and 0.4 s that nothing else needs

        chosen = choose_pair(replicas)
        if chosen is None:
            return ()
        there = [(request, side) for side, replica in enumerate(chosen) for request in replica.requests()]
        names = sorted({adapter_of(request) for request, _ in there})
        target = solve(self._pair(chosen, there, names), self._nodes)
        self._solved += 1
        self._solver_s += SOLVER_S_PER_REQUEST * len(there)
        self._host(chosen, {(adapter_of(request), int(side)) for (request, _), side in zip(there, target, strict=True)})
        moves = [Move(request, chosen[side].number)
                 for (request, source), side in zip(there, target.tolist(), strict=True) if side != source]
        self._moved += len(moves)
        return moves

    def _pair(self, chosen: tuple[Seen, Seen], there: Sequence[tuple[Request, int]], names: Sequence[str]) -> Pair:
        number = {name: index for index, name in enumerate(names)}
        capacities = [max(len(self.hosting.of[replica.number]), 1) for replica in chosen]
        return Pair(
            adapter=np.array([number[adapter_of(request)] for request, _ in there], np.int64),
            source=np.array([side for _, side in there], np.int64),
            blocks=np.array([chosen[side].blocks(request) for request, side in there], np.int64),
            run_s=np.array([self._mean_run_s(name) for name in names]),
            capacity=(capacities[0], capacities[1]),
            pool=(chosen[0].capacity, chosen[1].capacity),
            blocks_per_s=self._blocks_per_s,
        )

    def _mean_run_s(self, adapter: str) -> float:
        total, count = self._ran.get(adapter, (0.0, 0))
        return total / count if count else UNKNOWN_S

    def _host(self, chosen: tuple[Seen, Seen], needed: set[tuple[str, int]]) -> None:
        """Adapters are where the program has requests of them; one that gave up its place is there no longer."""
        for side, replica in enumerate(chosen):
            there, room = self.hosting.of[replica.number], len(self.hosting.of[replica.number])
            wanted = sorted(name for name, where in needed if where == side and name not in there)
            idle = [name for name in there if (name, side) not in needed]
            idle.sort(key=lambda name: len(self.hosting.hosts(name)), reverse=True)
            for name in idle[: max(len(there) + len(wanted) - room, 0)]:
                self.hosting.drop(name, replica.number)
            for name in wanted:
                self.hosting.add(name, replica.number)

    def facts(self) -> dict[str, float]:
        return {"solved": self._solved, "moved": self._moved, "solver_s": self._solver_s}


def choose_pair(replicas: Sequence[Seen]) -> tuple[Seen, Seen] | None:
    """The first whose KV cache is asked for most, if it is nearly full, with the least loaded; else the one that exceeds the
    mean number of requests by a batch with the first least loaded below the mean. None where neither holds."""
    demands = {there.number: sum(there.blocks(request) for request in there.requests()) / there.capacity for there in replicas}
    least = min(replicas, key=lambda there: demands[there.number])
    most = max(replicas, key=lambda there: demands[there.number])
    if demands[most.number] >= FULL > demands[least.number]:
        return most, least
    totals = {there.number: sum(there.counts.values()) for there in replicas}
    mean = sum(totals.values()) / len(totals)
    most = max(replicas, key=lambda there: totals[there.number])
    least = min(replicas, key=lambda there: totals[there.number])
    if totals[most.number] - mean < SEATS or totals[least.number] >= mean:
        return None
    return most, least
