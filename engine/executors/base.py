"""The contract between the engine and what executes its steps."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from engine.batch import Batch
from engine.plan import Candidates, DraftShape, Selection, StepPlan, StepResult
from engine.request import Request


class Clock(Protocol):
    """Seconds since the start of the run."""

    @property
    def now(self) -> float: ...

    def advance(self, elapsed_s: float) -> None:
        """A step took ``elapsed_s``. A wall clock has moved on by itself."""

    def wait_until(self, time_s: float) -> None:
        """Sleep; a time that has passed, or an interruption, returns at once."""

    def interrupt(self) -> None:
        """Wake who sleeps, from another thread."""


class Executor(ABC):
    """Drafts candidates and runs plans. It decides nothing about who is served.

    ``context``: the longest sequence it can serve, in tokens. ``adjust_s``: seconds by which copying and folding adapters
    made its steps longer.
    """

    clock: Clock
    context: int = sys.maxsize
    adjust_s: float = 0.0

    @abstractmethod
    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        """A beam of draft tokens for every row of the batch: exactly ``shape.depth`` layers of ``shape.width`` places.

        The trees of the next ``forward`` hold what this returned: candidates may carry more than the contract knows, such
        as their tokens. Its time counts into that ``forward``.
        """

    @abstractmethod
    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        """Run one step over all rows of ``batch``, which is read, never changed: the engine commits what the result says."""

    def draft_and_select(self, batch: Batch, shape: DraftShape, rule: Selection | None) -> bool:
        """Draft in place of ``draft``, and select in the ``forward`` that follows: by ``rule``, or all of a ``whole`` shape.

        ``forward`` then fills the plan's trees. False where nothing was done, since this executor selects nothing by itself.
        """
        return False

    def foresee(self, plan: StepPlan, batch: Batch, steps: int, span_s: float) -> Sequence[float]:
        """Seconds of the next ``steps`` steps, each of them ``plan`` and a token for every row, or of as many as begin within
        ``span_s``, which stands for no fewer. Empty, unless an executor knows them without taking them.

        ``plan`` is a decode of the whole batch without drafts, in which nobody ends.
        """
        return ()

    def refuse(self, request: Request) -> str | None:
        """Why this executor can never serve the request, or None."""
        longest = request.prompt_tokens + request.output_tokens
        if longest > self.context:
            return f"{longest} tokens do not fit the model's context of {self.context}"
        return None

    def release(self, request: Request) -> None:
        """Forget the request's keys and values: it finished, failed, or will be computed again after a pre-emption."""

    @abstractmethod
    def swap_out(self, request: Request) -> None:
        """Move the keys and values of the request's ``prefilled`` tokens to host memory. The time counts into the next
        ``forward``, as that of ``swap_in`` does."""

    @abstractmethod
    def swap_in(self, request: Request) -> None:
        """Bring them back."""
