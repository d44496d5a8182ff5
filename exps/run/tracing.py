"""What speculation decides in each step, heard where the engine asks its executor."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.batch import Batch
from engine.executors.base import Executor
from engine.plan import StepPlan, StepResult
from exps.run.watching import Watching

COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "step": pl.Int32, "start_s": pl.Float64, "end_s": pl.Float64, "depth": pl.Int8, "width": pl.Int8, "budget": pl.Int32,
    "prefill_tokens": pl.Int32, "request": pl.Int32, "need": pl.Float64, "slo_tokens": pl.Int16, "more_tokens": pl.Int16,
    "produced": pl.Int16,
}
"""A row for each request that decodes in a step; ``request`` is null in the row of a step that only reads prompts.

``depth`` and ``width`` of the draft, 0 without one; ``budget``: the most tokens that may be verified, roots included;
``need``: tokens that the request needs of the step to keep its SLO; ``slo_tokens``: nodes selected for that; ``more_tokens``:
the others; ``produced``: output tokens, the bonus included.
"""


class TracingExecutor(Watching):
    """Keeps what the policies had its executor do."""

    def __init__(self, inner: Executor):
        super().__init__(inner)
        self._steps: list[tuple[Any, ...]] = []

    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        start = self.clock.now
        result = self.inner.forward(plan, batch)
        self._steps.append((start, result.elapsed_s, *_shape(plan), *_rows(plan, batch, result)))
        return result

    def frame(self) -> pl.DataFrame:
        """What was kept, in order (COLUMNS)."""
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
        for number, (start, elapsed, *shape, ids, need, for_slo, more, produced) in enumerate(self._steps):
            same = (number, start, start + elapsed, *shape)
            each = (ids, need, for_slo, more, produced)
            for name, value in zip(COLUMNS, (*(np.full(len(ids), one) for one in same), *each), strict=True):
                parts[name].append(value)
        columns = {name: np.concatenate(values) if values else np.zeros(0) for name, values in parts.items()}
        frame = pl.DataFrame({name: pl.Series(name, values).cast(COLUMNS[name]) for name, values in columns.items()})
        return frame.with_columns(request=pl.when(pl.col("request") >= 0).then("request"), need=pl.col("need").fill_nan(None))


def _shape(plan: StepPlan) -> tuple[int, int, int, int]:
    chunked = sum(chunk.tokens for chunk in plan.prefill)
    if plan.trees is None or plan.draft is None:
        return 0, 0, 0, chunked
    return plan.draft.depth, plan.draft.width, plan.draft.max_tokens, chunked


def _rows(plan: StepPlan, batch: Batch, result: StepResult) -> tuple[NDArray[Any], ...]:
    """Requests (-1 in the row of a step without any), needs, nodes for the SLO, other nodes, tokens."""
    if not plan.decode:
        nothing = np.zeros(1, np.int64)
        return nothing - 1, np.full(1, np.nan), nothing, nothing, nothing
    ids = np.array([request.id for request in batch.requests])
    nothing, trees = np.zeros(len(ids), np.int64), plan.trees
    produced = np.ones(len(ids), np.int64) if result.accepted is None else result.accepted.copy()
    if trees is None:
        return ids, np.full(len(ids), np.nan), nothing, nothing, produced
    selected = trees.selected.sum(axis=(1, 2))
    for_slo = nothing if trees.for_slo is None else trees.for_slo.sum(axis=(1, 2))
    need = np.full(len(ids), np.nan) if trees.need is None else trees.need.copy()
    return ids, need, for_slo, selected - for_slo, produced
