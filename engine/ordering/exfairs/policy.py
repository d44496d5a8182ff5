"""ExFairS: clients served well give way to clients served badly (Huang et al., AAAI 2026, and its artifact)."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, inf
from statistics import pstdev

from engine.ordering.exfairs.exchange import blend, service_shares, widest_pairs
from engine.ordering.mechanics.by_rounds import ByRounds
from engine.ordering.mechanics.insertion import by_rank, by_size
from engine.ordering.mechanics.recent import DAY_S
from engine.ordering.mechanics.rounds import Tally

SLACK = 1e-9


class _Exchanging(ByRounds):
    """``exchanged`` counts the exchanges so far."""

    exchanged = 0

    def exchange(self, giver: str, receiver: str, step: float, bound: float) -> None:
        """The giver becomes less urgent and is credited; no priority leaves ``bound`` of 0."""
        gives, receives = self.account(giver), self.account(receiver)
        gives.priority = min(gives.priority + step, bound)
        receives.priority = max(receives.priority - step, -bound)
        gives.credit += step
        receives.credit -= step
        self.exchanged += 1


class ExFairS(_Exchanging):
    """After each round the clients exchange priority by their ratio (1 - alpha) * service + alpha * violations.

    Violations are of the requests submitted in the round (of the violations, should they be more). Service is the share
    in the ``normalize`` ("sum" or "max") of all; as in the artifact a client that consumed more counts as worse off, and
    ``penalize_service`` takes 1 - share instead. A gap above ``threshold`` moves floor(10 * min(gap * sensitivity, cap))
    priorities, at most ``max_exchanges`` times a client and round. Gaps are exact to 1e-9; ``truncate`` lets binary
    fractions fall where they do, as in the artifact.
    """

    def __init__(
        self,
        round_s: float = 60.0,
        alpha: float = 0.7,
        threshold: float = 0.1,
        sensitivity: float = 1.0,
        cap: float = 0.5,
        max_exchanges: int = 1,
        normalize: str = "sum",
        penalize_service: bool = False,
        truncate: bool = False,
        multiplier: float = 2.0,
        max_positions: int = 50,
        keep_s: float = DAY_S,
    ):
        super().__init__(round_s, by_rank(multiplier), max_positions, keep_s)
        if not 0 <= alpha <= 1 or normalize not in ("sum", "max"):
            raise ValueError(f"alpha is from 0 to 1, not {alpha:g}, and normalize sum or max, not {normalize}")
        if min(threshold, sensitivity, cap, multiplier) < 0 or max_exchanges < 1:
            raise ValueError("threshold, sensitivity, cap and multiplier must not be negative, max_exchanges at least 1")
        self.alpha, self.threshold, self.sensitivity, self.cap = alpha, threshold, sensitivity, cap
        self.max_exchanges, self.normalize, self.penalize_service = max_exchanges, normalize, penalize_service
        self.slack = 0.0 if truncate else SLACK

    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        ratios = self.ratios(tallies)
        pairs = widest_pairs(ratios, ceil(len(ratios) / 2), self.max_exchanges, self.threshold, self.slack)
        for giver, receiver, gap in pairs:
            step = floor(10 * min(gap * self.sensitivity, self.cap) + self.slack)
            self.exchange(giver, receiver, step, inf)

    def ratios(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """How badly each client fared."""
        service = service_shares(tallies, self.normalize)
        if self.penalize_service:
            service = {client: 1 - share for client, share in service.items()}
        return blend(self.alpha, self.violated(tallies), service)

    def violated(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """The share of each client's requests that was violated."""
        return {client: _share(tally.violations, max(tally.submitted, tally.violations)) for client, tally in tallies.items()}


class ContinuousExFairS(_Exchanging):
    """The artifact's later generation: short windows, bounded priorities, and an alpha that follows the inequality.

    Violations are of the requests decided in the window. ``adaptive`` raises alpha by 0.1 when their shares deviate by more
    than 0.2 between clients and lowers it by 0.05 below 0.05, between ``alpha_min`` and ``alpha_max``. A gap above
    ``threshold`` moves floor(gap * sensitivity * amplifier) priorities, at least 1, half as many again for a receiver with
    more than half violated. Priorities stay within ``bound`` and shrink by ``decay`` a window. Nobody passes a request
    that came in an earlier ``era_s``.
    """

    def __init__(
        self,
        round_s: float = 10.0,
        alpha: float = 0.8,
        adaptive: bool = True,
        alpha_min: float = 0.3,
        alpha_max: float = 0.95,
        threshold: float = 0.05,
        sensitivity: float = 2.0,
        amplifier: float = 10.0,
        max_exchanges: int = 3,
        bound: float = 50.0,
        decay: float = 1.0,
        era_s: float = 30.0,
        multiplier: float = 2.0,
        max_positions: int = 50,
        keep_s: float = DAY_S,
    ):
        if not bound > 0:
            raise ValueError(f"bound must be above 0, not {bound:g}")
        super().__init__(round_s, by_size(multiplier, bound), max_positions, keep_s, era_s)
        if not 0 <= alpha_min <= alpha <= alpha_max <= 1 or not 0 <= decay <= 1:
            raise ValueError("alpha must lie between alpha_min and alpha_max, and these and decay between 0 and 1")
        if min(threshold, sensitivity, amplifier, multiplier) < 0 or max_exchanges < 1:
            raise ValueError("threshold, sensitivity, amplifier, multiplier must not be negative, max_exchanges at least 1")
        self.alpha, self.adaptive, self.alpha_min, self.alpha_max = alpha, adaptive, alpha_min, alpha_max
        self.threshold, self.step_per_gap, self.max_exchanges = threshold, sensitivity * amplifier, max_exchanges
        self.bound, self.decay = bound, decay

    def end_round(self, tallies: Mapping[str, Tally], rounds: int) -> None:
        if self.decay < 1:
            for _, account in self.accounts.items():
                account.priority *= self.decay**rounds
        if len(tallies) < 2:
            return
        slo = self.violated(tallies)
        if self.adaptive:
            self._adapt(pstdev(slo.values()))
        ratios = blend(self.alpha, slo, service_shares(tallies, "sum"))
        for giver, receiver, gap in widest_pairs(ratios, len(ratios) // 2, self.max_exchanges, self.threshold, SLACK):
            step = max(1, floor(gap * self.step_per_gap + SLACK))
            self.exchange(giver, receiver, floor(1.5 * step) if slo[receiver] > 0.5 else step, self.bound)

    def violated(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """The share of each client's decided requests that was violated."""
        return {client: _share(tally.violations, tally.decided) for client, tally in tallies.items()}

    def _adapt(self, deviation: float) -> None:
        change = 0.1 if deviation > 0.2 else -0.05 if deviation < 0.05 else 0.0
        self.alpha = min(max(self.alpha + change, self.alpha_min), self.alpha_max)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
