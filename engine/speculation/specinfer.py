"""SpecInfer (Miao et al., ASPLOS 2024) as AdaServe compares with it: the same static tree for everybody."""

from __future__ import annotations

from math import prod

from engine.plan import Candidates, DraftShape, TokenTrees
from engine.progress import Progress
from engine.speculation.base import Speculation


class SpecInfer(Speculation):
    """A node of layer l has the ``branching[l]`` likeliest children, whatever the SLOs and however many requests there are.

    The default is that of AdaServe's artifact, 21 tokens with the root. ``branching`` may be text, as in "1;1;3". The engine
    that it is compared in has no CUDA graphs (AdaServe, Section 6).
    """

    def __init__(self, branching: tuple[int, ...] | str | int = (1, 1, 3, 1, 1, 1, 1, 1)):
        given = str(branching).split(";") if isinstance(branching, str | int) else branching
        self.branching = tuple(int(children) for children in given)
        if min(self.branching, default=0) < 1:
            raise ValueError(f"branching is one number of at least 1 a layer, as in 1;1;3, not {branching}")
        layers = [prod(self.branching[: layer + 1]) for layer in range(len(self.branching))]
        self.width, self.tokens = layers[-1], 1 + sum(layers)
        self.most_draft_tokens = len(self.branching) * self.width

    def shape(self, progress: Progress) -> DraftShape:
        return DraftShape(
            len(self.branching), self.width, len(progress) * self.tokens, branching=self.branching, eager=True
        )

    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        return TokenTrees(candidates, candidates.probability > 0)
