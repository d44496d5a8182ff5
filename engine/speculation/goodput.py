"""A chain as long as promises the most tokens a second (goodput as in SmartSpec, Liu et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.base import Speculation
from engine.speculation.mechanics.estimate import by_table


class GoodputChain(Speculation):
    """Everybody drafts k tokens, for the k up to ``longest`` with the most expected tokens a second; none where k is 0.

    n requests expect n (1 + a + ... + a^k) tokens of a step that takes k ``draft_step_s`` and the time for n (k + 1) tokens in
    the table ``verify_tokens`` -> ``verify_s``. a, the chance that a token is accepted, begins at ``accepted`` and follows
    what was seen, of which the last ``memory`` tries count.
    """

    def __init__(
        self,
        longest: int = 8,
        draft_step_s: float = 0.005,
        verify_tokens: Sequence[float] = (0.0, 1.0),
        verify_s: Sequence[float] = (0.0, 0.0),
        accepted: float = 0.7,
        memory: float = 1000.0,
    ):
        if longest < 1 or memory < 1 or not 0 <= accepted <= 1:
            wrong = f"{longest}, {memory}, {accepted}"
            raise ValueError(f"longest and memory must be at least 1 and accepted from 0 to 1, not {wrong}")
        self.longest = self.most_draft_tokens = longest
        self.draft_step_s, self.verify_tokens, self.verify_s = draft_step_s, tuple(verify_tokens), tuple(verify_s)
        self.memory = memory
        self.hits, self.tries = accepted * memory, memory
        self._before: dict[int, tuple[int, int]] = {}

    def shape(self, progress: Progress) -> DraftShape | None:
        self._learn(progress)
        n, lengths = max(len(progress), 1), np.arange(self.longest + 1)
        tokens = np.cumsum((self.hits / self.tries) ** lengths)
        seconds = lengths * self.draft_step_s + by_table(n * (lengths + 1), self.verify_tokens, self.verify_s)
        best = int(np.argmax(tokens / np.maximum(seconds, 1e-9)))
        return DraftShape(best, 1, n * (best + 1), whole=True) if best else None

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        return TokenTrees(candidates, np.ones(candidates.probability.shape, bool))

    def _learn(self, progress: Progress) -> None:
        """Each request's last chain tried its accepted tokens and the first rejected one."""
        ids = [request.id for request in progress.requests]
        now = dict(zip(ids, zip(progress.drafted.tolist(), progress.accepted.tolist(), strict=True), strict=True))
        for id, (drafted, accepted) in now.items():
            was_drafted, was_accepted = self._before.get(id, (drafted, accepted))
            hits = accepted - was_accepted
            self.hits += hits
            self.tries += min(hits + 1, drafted - was_drafted)
        forget = min(1.0, self.memory / self.tries)
        self.hits, self.tries, self._before = self.hits * forget, self.tries * forget, now
