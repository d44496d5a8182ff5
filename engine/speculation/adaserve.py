"""AdaServe (EuroSys 2026): trees sized by each request's SLO, then by throughput, within one budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.base import Speculation


class AdaServe(Speculation):
    """SLO-customised speculative decoding (Algorithm 2), with adaptive depth and width.

    ``budget`` B: tokens verified a step, roots included. ``depth_budget`` B1 and ``width_budget`` B2 share out the
    verifier's and the draft's tokens; ``c1`` and ``c2`` are the paper's tuning constants, whose values it does not
    publish. ``n_max_share``: n_max = n_max_share * B / n. ``draft_s`` and the table ``verify_tokens`` -> ``verify_s``
    estimate the latency of the coming step. ``slo_selection=False`` skips step 2 and ``throughput_selection=False``
    step 3 of the algorithm.
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
        throughput_selection: bool = True,
    ):
        if budget < 1 or depth_budget < 1 or width_budget < 1 or c1 < 0:
            raise ValueError(f"budgets must be above 0 and c1 at least 0, not {budget}, {depth_budget}, {width_budget}, {c1}")
        self.budget, self.depth_budget, self.width_budget = budget, depth_budget, width_budget
        self.depth, self.width, self.c1, self.c2 = tuple(depth), tuple(width), c1, c2
        self.most_draft_tokens = max(depth) * max(width)
        self.n_max_share = n_max_share
        self.draft_s, self.verify_tokens, self.verify_s = draft_s, tuple(verify_tokens), tuple(verify_s)
        self.slo_selection, self.throughput_selection = slo_selection, throughput_selection

    def shape(self, progress: Progress) -> DraftShape:
        """d = clip(floor(B1 / (n + c1)) - 1), w = clip(floor(B2 / n) + c2), the paper's adaptive depth and width."""
        n = max(len(progress), 1)
        depth = min(max(int(self.depth_budget / (n + self.c1)) - 1, self.depth[0]), self.depth[1])
        width = min(max(self.width_budget // n + self.c2, self.width[0]), self.width[1])
        return DraftShape(depth, width, max(n, min(self.budget, n * (1 + depth * width))))

    def step_s(self, tokens: int) -> float:
        """t_spec: estimated seconds of a step that verifies ``tokens`` tokens."""
        return self.draft_s + float(np.interp(tokens, self.verify_tokens, self.verify_s))

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        n, depth, width = candidates.probability.shape
        room = max(self.budget - n, 0)
        t_spec = self.step_s(min(self.budget, n * (1 + depth * width)))
        need = (progress.latency_s + t_spec) / progress.slo_tpot_s - progress.decoded
        n_max = max(int(self.n_max_share * self.budget / n), 1)
        selected = np.zeros(candidates.probability.shape, bool)
        if self.slo_selection:
            selected = select_for_slo(candidates.probability, need, room, n_max)
        if self.throughput_selection:
            selected |= select_for_throughput(candidates.probability, selected, room - int(selected.sum()))
        return TokenTrees(candidates, selected)


def select_for_slo(
    probability: NDArray[np.float64], need: NDArray[np.float64], room: int, n_max: int, root: float = 1.0
) -> NDArray[np.bool_]:
    """Step 2: the neediest request first takes its likeliest nodes until their sum reaches its need, capped at d + 1.

    ``probability[n, d, w]`` path probabilities, ``need[n]`` is A(r), ``room`` nodes for all, ``n_max`` for one;
    ``root`` is what the root itself counts towards the need.
    """
    n = need.size
    flat = probability.reshape(n, -1)
    ranked = np.argsort(-flat, axis=1, kind="stable")
    sums = root + np.cumsum(np.take_along_axis(flat, ranked, axis=1), axis=1)
    capped = np.minimum(need, probability.shape[1] + 1)
    wanted = np.where(capped > root, 1 + (sums < capped[:, None]).sum(axis=1), 0)
    wanted = np.minimum(wanted, np.minimum((flat > 0).sum(axis=1), n_max))
    neediest = np.argsort(-need, kind="stable")
    granted = np.zeros(n, np.int64)
    before = np.cumsum(wanted[neediest]) - wanted[neediest]
    granted[neediest] = np.clip(room - before, 0, wanted[neediest])
    selected = np.zeros(flat.shape, bool)
    np.put_along_axis(selected, ranked, np.arange(flat.shape[1]) < granted[:, None], axis=1)
    return selected.reshape(probability.shape)


def select_for_throughput(
    probability: NDArray[np.float64], selected: NDArray[np.bool_], room: int
) -> NDArray[np.bool_]:
    """Step 3: the ``room`` likeliest nodes of all requests that are not selected yet."""
    pool = np.where(selected, 0.0, probability).ravel()
    best = np.argsort(-pool, kind="stable")[:room]
    chosen = np.zeros(pool.size, bool)
    chosen[best[pool[best] > 0]] = True
    return chosen.reshape(probability.shape)
