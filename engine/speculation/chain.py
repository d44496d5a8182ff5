"""A fixed chain of draft tokens for everybody, as vLLM speculates with a draft model."""

from __future__ import annotations

import numpy as np

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.base import Speculation


class Chain(Speculation):
    """``tokens`` draft tokens for each request, whatever its SLO and however many requests there are."""

    def __init__(self, tokens: int = 4):
        if tokens < 1:
            raise ValueError(f"a chain of {tokens} draft tokens is not a chain")
        self.tokens = self.most_draft_tokens = tokens

    def shape(self, progress: Progress) -> DraftShape:
        return DraftShape(self.tokens, 1, len(progress) * (self.tokens + 1), whole=True)

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        return TokenTrees(candidates, np.ones(candidates.probability.shape, bool))
