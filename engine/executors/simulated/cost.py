"""How long a step takes: bytes moved and operations done, plus fixed costs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.batch import Batch
from engine.plan import DECODE, Chunk, StepPlan

TABULATED = 1025


@dataclass(frozen=True)
class Line:
    """Seconds of a forward over ``tokens`` new tokens: straight between the knots, the last slope beyond them."""

    tokens: tuple[float, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.seconds) or len(self.tokens) < 2:
            raise ValueError("a line needs as many tokens as seconds, two or more")
        if list(self.tokens) != sorted(set(self.tokens)):
            raise ValueError(f"tokens must ascend: {self.tokens}")

    def __call__(self, tokens: float) -> float:
        place = min(max(bisect_right(self.tokens, tokens) - 1, 0), len(self.tokens) - 2)
        (x0, x1), (y0, y1) = self.tokens[place : place + 2], self.seconds[place : place + 2]
        return y0 + (tokens - x0) * (y1 - y0) / (x1 - x0)


@dataclass(frozen=True)
class TiledPrefill:
    """Seconds of a prefill apart from decoding: ``fixed_s`` and ``tile_s`` for each started tile of ``tile`` tokens."""

    fixed_s: float
    tile_s: float
    tile: int = 128

    def __call__(self, tokens: int) -> float:
        return self.fixed_s + -(-tokens // self.tile) * self.tile_s


@dataclass(frozen=True)
class DraftCost:
    """The draft model: ``step_s`` a draft step, ``step_token_s`` each token of it, ``context_s`` each cached token it reads,
    ``token_s`` a prompt token to prefill; ``launches_s`` what the host takes to launch the kernels of a step one by one,
    which an eager step waits for.

    A prefill rides on the first draft step where there is one, and is a forward of its own where there is none.
    """

    step_s: float
    token_s: float
    step_token_s: float = 0.0
    context_s: float = 0.0
    launches_s: float = 0.0

    def seconds(self, depth: int, step_tokens: int, cached: int, prefill_tokens: int, eager: bool = False) -> float:
        """Seconds of ``depth`` draft steps of ``step_tokens`` each, which read ``cached`` tokens, and of the prefill of
        ``prefill_tokens`` prompt tokens."""
        prefill_s = self.token_s * prefill_tokens
        if depth:
            step_s = self.step_s + self.step_token_s * step_tokens + self.context_s * cached
            return max(step_s, self.launches_s if eager else 0.0) * depth + prefill_s
        return max(self.step_s, prefill_s) if prefill_tokens else 0.0


@dataclass(frozen=True)
class StepCost:
    """Seconds of an engine step.

    scale x (line(new tokens) + ``context_s`` x cached tokens read) + draft + the host's ``host_s``, and ``sequence_s`` for
    each sequence. ``query_s``: what each draft token adds in verification for each cached token that it looks at. A step
    without decoding uses ``prefill`` where there is one. ``expands_batch``: each draft token is scored as a sequence of its
    own, so that the context is read depth + 1 times (vLLM V0), and ``expanded_s``: what the host takes for each sequence of
    such a batch, while the device waits.
    """

    line: Line
    context_s: float
    prefill: TiledPrefill | None = None
    draft: DraftCost | None = None
    expands_batch: bool = False
    expanded_s: float = 0.0
    host_s: float = 0.0
    scale: float = 1.0
    query_s: float = 0.0
    sequence_s: float = 0.0
    _decode: Sequence[float] = field(init=False, repr=False)
    _context_s: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        decode = [self.scale * self.line(n) + self._host_s(n) for n in range(TABULATED)]
        object.__setattr__(self, "_decode", decode)
        object.__setattr__(self, "_context_s", self.scale * self.context_s)

    def _host_s(self, sequences: int) -> float:
        return self.host_s + self.sequence_s * sequences

    def seconds(self, plan: StepPlan, batch: Batch) -> float:
        """Seconds of ``plan`` on the rows of ``batch``."""
        n = len(batch.requests)
        if plan is DECODE and n < TABULATED:
            return self._decode[n] + self._context_s * batch.context_tokens
        if not plan.decode:
            return self._prefill(plan.prefill)
        new, read = n, batch.context_tokens
        depth = step_tokens = 0
        looking_s, eager, expanding_s = 0.0, False, 0.0
        if plan.trees is not None and plan.draft is not None:
            nodes = int(plan.trees.selected.sum())
            depth, step_tokens, eager = plan.draft.depth, n * plan.draft.width, plan.draft.eager
            new += nodes
            looking_s = self.query_s * batch.context_tokens * nodes / n
            if self.expands_batch:
                read *= depth + 1
                expanding_s = self.expanded_s * new
        chunked = sum(chunk.tokens for chunk in plan.prefill)
        read += sum(chunk.done for chunk in plan.prefill)
        drafting = self.draft.seconds(depth, step_tokens, batch.context_tokens, chunked, eager) if self.draft else 0.0
        forward = self.line(new + chunked) + self.context_s * read
        return self.scale * (forward + looking_s + drafting) + self._host_s(n + len(plan.prefill)) + expanding_s

    def foresee(self, plan: StepPlan, batch: Batch, steps: int, span_s: float) -> list[float]:
        """Seconds of ``steps`` decodes of ``batch`` one after another, up to those that begin within ``span_s``."""
        n, context = len(batch.requests), batch.context_tokens
        first_s = self.seconds(plan, batch)
        if first_s * steps > span_s:
            steps = min(steps, int(span_s / first_s) + 2)
        contexts = range(context, context + steps * n, n)
        if plan is DECODE and n < TABULATED:
            fixed_s, context_s = self._decode[n], self._context_s
            return [fixed_s + context_s * read for read in contexts]
        line_s, context_s, scale, host_s = self.line(n), self.context_s, self.scale, self._host_s(n)
        return [scale * (line_s + context_s * read) + host_s for read in contexts]

    def _prefill(self, chunks: Sequence[Chunk]) -> float:
        tokens, done = sum(chunk.tokens for chunk in chunks), sum(chunk.done for chunk in chunks)
        forward = self.prefill(tokens) if self.prefill else self.line(tokens)
        drafting = self.draft.seconds(0, 0, 0, tokens) if self.draft else 0.0
        return self.scale * (forward + self.context_s * done + drafting) + self._host_s(len(chunks))
