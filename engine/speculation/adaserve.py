"""AdaServe (EuroSys 2026): trees sized by each request's SLO, then by throughput, within one budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.plan import Candidates, DraftShape, Selection, TokenTrees
from engine.progress import Progress
from engine.speculation.base import Speculation
from engine.speculation.mechanics.estimate import by_table
from engine.speculation.mechanics.selection import distinct, select_equally, select_for_slo, select_for_throughput

RESTS = {"throughput": select_for_throughput, "equal": select_equally, "none": None}


class AdaServe(Speculation):
    """SLO-customised speculative decoding (Algorithm 2), with adaptive depth and width.

    ``budget`` B: tokens verified a step, roots included. ``depth_budget`` B1 and ``width_budget`` B2 share out the
    verifier's and the draft's tokens; ``c1`` and ``c2`` are the paper's tuning constants, whose values it does not
    publish. ``n_max_share``: n_max = n_max_share * B / n. ``draft_s`` and the table ``verify_tokens`` -> ``verify_s``
    estimate the latency of the coming step. ``slo_selection=False`` skips step 2 of the algorithm, ``neediest_first=False``
    visits requests in the order of the engine that AdaServe grew from. ``rest``: what the budget that step 2 leaves goes to:
    "throughput" (step 3), "equal" shares, or "none". ``eager``: draft steps without CUDA graphs (DraftShape.eager).
    """

    def __init__(
        self,
        budget: int = 256,
        depth_budget: int = 256,
        width_budget: int = 80,
        depth: tuple[int, int] = (3, 5),
        width: tuple[int, int] = (1, 3),
        c1: float = 0.0,
        c2: int = 0,
        n_max_share: float = 1.2,
        draft_s: float = 0.0,
        verify_tokens: Sequence[float] = (0.0, 1.0),
        verify_s: Sequence[float] = (0.0, 0.0),
        slo_selection: bool = True,
        neediest_first: bool = True,
        rest: str = "throughput",
        eager: bool = False,
    ):
        if budget < 1 or depth_budget < 1 or width_budget < 1 or c1 < 0:
            raise ValueError(f"budgets must be above 0 and c1 at least 0, not {budget}, {depth_budget}, {width_budget}, {c1}")
        if rest not in RESTS:
            raise ValueError(f"rest is {', '.join(RESTS)}, not {rest!r}")
        self.budget, self.depth_budget, self.width_budget = budget, depth_budget, width_budget
        self.depth, self.width, self.c1, self.c2 = tuple(depth), tuple(width), c1, c2
        self.most_draft_tokens = max(depth) * max(width)
        self.n_max_share = n_max_share
        self.draft_s, self.verify_tokens, self.verify_s = draft_s, tuple(verify_tokens), tuple(verify_s)
        self.slo_selection, self.neediest_first = slo_selection, neediest_first
        self.rest, self.eager = RESTS[rest], eager

    def shape(self, progress: Progress) -> DraftShape | None:
        """d = clip(floor(B1 / (n + c1)) - 1), w = clip(floor(B2 / n) + c2), the paper's adaptive depth and width.

        Never deeper than the nodes that the roots leave of the budget, which could not be verified; None when they leave none.
        """
        n = max(len(progress), 1)
        if (room := self.budget - n) < 1:
            return None
        depth = min(max(int(self.depth_budget / (n + self.c1)) - 1, self.depth[0]), self.depth[1], room)
        width = min(max(self.width_budget // n + self.c2, self.width[0]), self.width[1])
        return DraftShape(depth, width, min(self.budget, n * (1 + depth * width)), eager=self.eager)

    def step_s(self, tokens: int) -> float:
        """t_spec: estimated seconds of a step that verifies ``tokens`` tokens."""
        return self.draft_s + float(by_table(tokens, self.verify_tokens, self.verify_s))

    def need(self, progress: Progress, tokens: int) -> np.ndarray:
        """A(r) = (l + t_spec) / t_tpot - o of each request, when ``tokens`` are verified."""
        return np.asarray((progress.latency_s + self.step_s(tokens)) / progress.slo_tpot_s - progress.decoded)

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        ranks, terms = distinct(candidates.probability), self._terms(progress, *candidates.probability.shape[1:])
        for_slo = np.zeros(ranks.shape, bool)
        if terms.for_slo:
            for_slo = select_for_slo(ranks, terms.need, terms.room, terms.n_max, neediest_first=self.neediest_first)
        selected = for_slo
        if self.rest is not None:
            selected = for_slo | self.rest(ranks, for_slo, terms.room - int(np.count_nonzero(for_slo)))
        return TokenTrees(candidates, selected, terms.need, for_slo)

    def rule(self, progress: Progress, shape: DraftShape) -> Selection | None:
        published = self.neediest_first and self.rest in (select_for_throughput, None)
        return self._terms(progress, shape.depth, shape.width) if published else None

    def _terms(self, progress: Progress, depth: int, width: int) -> Selection:
        n = len(progress)
        need = self.need(progress, min(self.budget, n * (1 + depth * width)))
        n_max = max(int(self.n_max_share * self.budget / n), 1)
        return Selection(need, max(self.budget - n, 0), n_max, self.slo_selection, self.rest is select_for_throughput)
