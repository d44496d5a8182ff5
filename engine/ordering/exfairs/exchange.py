"""Who gives way to whom: ratios of experience and pairs of clients (ExFairS)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.ordering.mechanics.rounds import Tally


def service_shares(tallies: Mapping[str, Tally], normalize: str) -> dict[str, float]:
    """Each client's service over the "sum" or the "max" of all. Without any service all are equal: 1 / n, or 1."""
    services = {client: tally.service for client, tally in tallies.items()}
    whole = sum(services.values()) if normalize == "sum" else max(services.values(), default=0.0)
    if whole == 0:
        return dict.fromkeys(services, 1 / len(services) if services and normalize == "sum" else 1.0)
    return {client: service / whole for client, service in services.items()}


def blend(alpha: float, slo: Mapping[str, float], service: Mapping[str, float]) -> dict[str, float]:
    """(1 - alpha) * service + alpha * slo; the larger, the worse was the client's experience."""
    return {client: (1 - alpha) * service[client] + alpha * slo[client] for client in slo}


def widest_pairs(
    ratios: Mapping[str, float], most: int, each: int, above: float, slack: float = 0.0
) -> Iterator[tuple[str, str, float]]:
    """Who gives, who receives, and the gap of their ratios: at most ``most`` pairs, a client in at most ``each`` of them.

    A pair is the two extremes of those that may still take part, as long as their gap exceeds ``above`` by more than
    ``slack``. Since both of a pair are used up together, pairs go from the outermost inwards, each ``each`` times. Equal
    ratios keep the order of ``ratios``.
    """
    ranked = sorted(ratios, key=ratios.__getitem__)
    for number in range(min(most, each * (len(ranked) // 2))):
        place = number // each
        giver, receiver = ranked[place], ranked[-1 - place]
        gap = ratios[receiver] - ratios[giver]
        if not gap > above + slack:
            return
        yield giver, receiver, gap
