"""When to merge and when to unmerge: two thresholds that learn from the period that ends (dLoRA's AIMD)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step with a merged adapter, of one without, and of a switch between them.

    The defaults are the artifact's, profiled for Llama-7B and used for every model.
    """

    merged_s: float = 0.015
    unmerged_s: float = 0.027
    switch_s: float = 0.02

    @property
    def ratio(self) -> float:
        return self.merged_s / self.unmerged_s


class Thresholds:
    """``alpha`` of the first requests have to want an adapter before it is merged, ``beta`` for it to stay merged.

    ``add`` and ``multiply`` are how far a change of mode moves them. alpha is at most ``most`` and beta at least ``least``,
    which the artifact does not see to.
    """

    def __init__(
        self, times: StepTimes, add: float = 0.05, multiply: float = 1.1, most: float = 2.0, least: float = 0.05
    ):
        self.times, self._add, self._multiply, self._most, self._least = times, add, multiply, most, least
        self.alpha, self.beta = 1.0, times.ratio
        self.steps = 0
        self._clear()

    def _clear(self) -> None:
        self.merged_batch = self.unmerged_batch = self.virtual_switches = 0

    def count(self, merged: int, unmerged: int, steps: int = 1) -> None:
        """So many steps with ``unmerged`` first requests, of which the best adapter could have had ``merged`` in a batch."""
        self.merged_batch += steps * merged
        self.unmerged_batch += steps * unmerged

    def tune(self, was_merged: bool) -> None:
        """The period of ``steps`` steps ends in a change of mode."""
        if self.steps == 0:
            return
        times = self.times
        merged_s, unmerged_s = times.merged_s * self.steps, times.unmerged_s * self.steps
        if was_merged:
            merged_s += times.switch_s
        else:
            unmerged_s += times.switch_s
            merged_s += times.switch_s * self.virtual_switches
        merged, unmerged = self.merged_batch / merged_s, self.unmerged_batch / unmerged_s
        if was_merged:
            self._tune_alpha(merged, unmerged)
        else:
            self._tune_beta(merged, unmerged)
        self._clear()

    def _tune_alpha(self, merged: float, unmerged: float) -> None:
        if merged > unmerged and self.alpha - self._add > self.beta:
            self.alpha -= self._add
        elif merged < unmerged:
            self.alpha = min(self.alpha * self._multiply, self._most)

    def _tune_beta(self, merged: float, unmerged: float) -> None:
        if unmerged > merged and self.beta + self._add < self.alpha:
            self.beta += self._add
        elif unmerged < merged:
            self.beta = max(self.beta / self._multiply, self._least)
