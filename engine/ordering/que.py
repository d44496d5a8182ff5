"""QuE: after each round the client with the least quality of experience is helped (a baseline of ExFairS's artifact)."""

from __future__ import annotations

from collections.abc import Mapping

from engine.ordering.mechanics.by_rounds import ByRounds
from engine.ordering.mechanics.insertion import by_rank
from engine.ordering.mechanics.recent import DAY_S
from engine.ordering.mechanics.rounds import Tally


class QuE(ByRounds):
    """Quality weighs tokens a second, latency and service of a client, each from 0 (worst) to 1 (best) among the clients.

    The worst client's priority becomes more urgent by its distance from the mean quality. Only clients with a completed
    request in the round take part. With ``artifact_signs`` latency and service count the wrong way round, and the worst
    client is moved back, as in the artifact.
    """

    def __init__(
        self,
        round_s: float = 60.0,
        throughput: float = 0.3,
        latency: float = 0.4,
        cost: float = 0.3,
        artifact_signs: bool = False,
        multiplier: float = 2.0,
        max_positions: int = 50,
        keep_s: float = DAY_S,
    ):
        super().__init__(round_s, by_rank(multiplier), max_positions, keep_s)
        if min(throughput, latency, cost, multiplier) < 0:
            raise ValueError("throughput, latency, cost and multiplier must not be negative")
        self.throughput, self.latency, self.cost = throughput, latency, cost
        self.artifact_signs = artifact_signs

    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        qualities = self.qualities({client: tally for client, tally in tallies.items() if tally.completed})
        if len(qualities) < 2:
            return
        worst = min(qualities, key=qualities.__getitem__)
        distance = sum(qualities.values()) / len(qualities) - qualities[worst]
        self.account(worst).priority += distance if self.artifact_signs else -distance

    def qualities(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """Quality of experience of clients that completed something."""
        speed = _scaled({client: tally.speed / tally.completed for client, tally in tallies.items()})
        delay = _scaled({client: tally.latency_s / tally.completed for client, tally in tallies.items()})
        service = _scaled({client: tally.service for client, tally in tallies.items()})
        sign = -1 if self.artifact_signs else 1
        return {
            client: self.throughput * speed[client]
            + sign * (self.latency * (1 - delay[client]) + self.cost * (1 - service[client]))
            for client in tallies
        }


def _scaled(values: Mapping[str, float]) -> dict[str, float]:
    """From 0 for the least to 1 for the largest; 0.5 when all are equal."""
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    return {key: (value - low) / (high - low) if high > low else 0.5 for key, value in values.items()}
