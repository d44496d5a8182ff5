"""ExFairS's own view of a recorded run: ratios, credits, priorities and exchanges."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from engine.ordering.exfairs import ContinuousExFairS, ExFairS
from engine.system import parse_system
from exps.figures.figure import Record
from exps.papers.exfairs.replay import Policy, RoundEnd, replay
from exps.papers.exfairs.setup import PERIOD_S

KEY = {"client": pl.String, "round": pl.Int64}


def policy_of(record: Record) -> Policy | None:
    """A fresh policy of the record's system, if that exchanges priorities."""
    ordering = parse_system(record.point.system).build(record.manifest["configuration"]["policies"]).ordering
    return ordering if isinstance(ordering, ExFairS | ContinuousExFairS) else None


def exchanges(record: Record) -> dict[str, int | None]:
    """``exchanged``: exchanges of the run; ``needless``: those of them in a round in which the clients' violations were too
    much alike to be a reason. None where the system exchanges nothing."""
    policy = policy_of(record)
    if policy is None:
        return {"exchanged": None, "needless": None}
    before = needless = 0
    for end in _replayed(record, policy):
        shares = policy.violated(end.tallies).values()
        alike = policy.alpha * (max(shares, default=0.0) - min(shares, default=0.0)) <= policy.threshold
        needless += (end.exchanged - before) * alike
        before = end.exchanged
    return {"exchanged": before, "needless": needless}


def experience(record: Record) -> pl.DataFrame:
    """client, round, fairness_ratio by the formula of ExFairS whatever the system, and credit and priority where it has any.

    Credit and priority are those after the exchange that ends the round.
    """
    policy = policy_of(record)
    yardstick = policy if isinstance(policy, ExFairS) else ExFairS(PERIOD_S)
    rows = [
        (client, _round(end), ratio)
        for end in _replayed(record, yardstick)
        for client, ratio in yardstick.ratios(end.tallies).items()
    ]
    ratios = pl.DataFrame(rows, {**KEY, "fairness_ratio": pl.Float64}, orient="row")
    fresh = policy_of(record)
    if fresh is None:
        none = pl.lit(None, pl.Float64)
        return ratios.with_columns(credit=none, priority=none)
    last = {_round(end): end for end in _replayed(record, fresh)}
    states = [(name, k, credit, end.priorities[name]) for k, end in last.items() for name, credit in end.credits.items()]
    kept = pl.DataFrame(states, {**KEY, "credit": pl.Float64, "priority": pl.Float64}, orient="row")
    return ratios.join(kept, on=list(KEY), how="full", coalesce=True)


def _replayed(record: Record, policy: Policy) -> Iterator[RoundEnd]:
    """Up to the end of the last round in which something arrived."""
    last: float = record.requests["arrival_s"].max()  # type: ignore[assignment]
    return replay(record.requests, policy, (last // PERIOD_S + 1) * PERIOD_S)


def _round(end: RoundEnd) -> int:
    """The round of the clients in which a round, or window, of the policy ended."""
    return int(end.end_s / PERIOD_S - 1e-9)
