"""The contract of a speculation policy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from engine.plan import Candidates, DraftShape, Selection, TokenTrees
from engine.progress import Progress


class Speculation(ABC):
    """Chooses the shape of the draft before a step, and the nodes to verify after it.

    ``most_draft_tokens`` is the most that depth times width of a shape may be; an executor keeps room for so many drafts of
    each request.
    """

    most_draft_tokens: int = 64

    @abstractmethod
    def shape(self, progress: Progress) -> DraftShape | None:
        """Depth, width and verification budget for the requests that decode. None means no speculation this step."""

    @abstractmethod
    def select(self, candidates: Candidates, progress: Progress) -> TokenTrees:
        """The nodes of these candidates to verify. Roots are always verified and are not part of the candidates."""

    def rule(self, progress: Progress, shape: DraftShape) -> Selection | None:
        """What ``select`` will choose of candidates of this shape, where a rule says it; None where only ``select`` knows."""
        return None
