"""What adapters add to a step: multiplying them, folding them into the base weights, and copying them in."""

from __future__ import annotations

from dataclasses import dataclass

from engine.adapters.queue import BASE, adapter_of
from engine.batch import Batch
from engine.plan import StepPlan, Weights


@dataclass(frozen=True)
class AdapterCost:
    """Seconds by kernel and model.

    A step without a merged adapter takes ``kernel_s`` longer, ``token_s`` for each token and adapter that are multiplied
    (``dense``: every token by every adapter of the step, else by its own), and ``weights_s`` for each adapter that is read. A
    fold takes ``fold_s``, a copy ``copy_s`` and a read from the disk ``read_s``. ``overlaps``: each of ``layers`` waits for
    its part of the copies alone.
    """

    kernel_s: float
    token_s: float
    weights_s: float
    fold_s: float
    copy_s: float
    read_s: float
    layers: int
    dense: bool = False
    overlaps: bool = True

    def seconds(self, plan: StepPlan, batch: Batch, step_s: float) -> tuple[float, float]:
        """Seconds of a step that takes ``step_s`` with the base model alone, and how many of them copies and folds cost."""
        weights = plan.weights
        if weights is None:
            return step_s, 0.0
        if weights.merged is None:
            step_s += self.multiplied_s(plan, batch)
        if not (weights.loads or weights.folds):
            return step_s, 0.0
        whole_s = self.ready_s(weights, step_s + self.fold_s * weights.folds)
        return whole_s, whole_s - step_s

    def multiplied_s(self, plan: StepPlan, batch: Batch) -> float:
        """Seconds that adapters which are not merged take."""
        tokens, names = len(batch.requests), set(batch.by_adapter)
        for chunk in plan.prefill:
            tokens += chunk.tokens
            names.add(adapter_of(chunk.request))
        count = len(names - {BASE})
        if not count:
            return 0.0
        return self.kernel_s + self.token_s * tokens * (count if self.dense else 1) + self.weights_s * count

    def ready_s(self, weights: Weights, step_s: float) -> float:
        """Seconds of a step of ``step_s`` that waits for its copies: for all of them, or layer by layer, where the first
        layer waits for its part, the last one computes last, and between them the slower of the two sets the pace."""
        copies_s = self.copy_s * len(weights.loads) + self.read_s * len(weights.reads)
        if not self.overlaps:
            return copies_s + step_s
        return (copies_s + step_s + (self.layers - 1) * max(copies_s, step_s)) / self.layers
