"""The executor that computes: a target model, perhaps a draft, and what is known of the requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.batch import Batch
from engine.errors import InputError
from engine.executors.base import Executor
from engine.executors.native.capacity import BLOCK_SIZE, Capacity
from engine.executors.native.choosing import choose, likeliest, verify
from engine.executors.native.clock import WallClock
from engine.executors.native.composition import compose_step, decoding, ends_prefill, places_in
from engine.executors.native.drafting import Drafter, Drafts
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import TreeRows, lay_out
from engine.executors.native.verification import Verified
from engine.models.decoder import Decoder
from engine.plan import DraftShape, StepPlan, StepResult, TokenTrees
from engine.request import Request

Ints = NDArray[np.int64]
NOT_FINITE = "the model gave a logit that is not a number"


@dataclass(slots=True)
class Committed:
    """What a step adds to answers, and which it ends, by request id (see StepResult)."""

    tokens: dict[int, list[int]] = field(default_factory=dict)
    ended: dict[int, str | None] = field(default_factory=dict)


class NativeExecutor(Executor):
    """Runs plans with torch: prefill chunks, decoding and tree verification in one forward of the target.

    ``capacity``: what its KV caches have room for. ``kernel``: whose kernels compute it (engine.kernels.attention).
    ``graphs``: steps without prefill are replayed as CUDA graphs.
    """

    clock: WallClock

    def __init__(
        self, target: Decoder, draft: Decoder | None, capacity: Capacity, kernel: str = "reference", graphs: bool = False
    ):
        self.clock = WallClock()
        self.context = target.config.context
        self.sequences = Sequences(self.context, capacity.blocks, BLOCK_SIZE, capacity.draft_tokens)
        self._config, self._stops = target.config, frozenset(target.config.stop_ids)
        longest = self.sequences.table.shape[1]
        self._target, *rest = [
            ModelRunner(decoder, capacity.blocks, BLOCK_SIZE, kernel, graphs, longest)
            for decoder in (target, draft) if decoder is not None
        ]
        self._drafter = Drafter(rest[0], self.sequences) if rest else None
        self._began: float | None = None

    def refuse(self, request: Request) -> str | None:
        unknown = [token for token in request.prompt_ids or () if not 0 <= token < self._config.vocabulary]
        if unknown:
            return f"token {unknown[0]} of the prompt is not in the model's vocabulary of {self._config.vocabulary}"
        return super().refuse(request)

    @torch.inference_mode()
    def draft(self, batch: Batch, shape: DraftShape) -> Drafts:
        if self._drafter is None:
            raise RuntimeError("speculation needs a draft model")
        self._began = self.clock.now
        return self._drafter.draft(batch.requests, self.sequences.rows(batch.requests), batch.context, shape)

    @torch.inference_mode()
    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        began = self.clock.now if self._began is None else self._began
        self._began = None
        drafts = _drafts_of(plan.trees) if plan.trees else None
        nodes = lay_out(plan.trees, drafts.tokens) if plan.trees and drafts else None
        logits = self._target.forward(compose_step(self.sequences, plan, batch, nodes))
        first = [chunk.request for chunk in plan.prefill if ends_prefill(chunk)]
        decoded, committed = len(logits) - len(first), Committed()
        if first:
            self._commit_one_each(first, self.sequences.rows(first), logits[decoded:], committed)
        accepted = self._decoded(batch, nodes, drafts, logits[:decoded], committed) if decoded else None
        return StepResult(self.clock.now - began, accepted, committed.ended or None, committed.tokens)

    @torch.inference_mode()
    def release(self, request: Request) -> None:
        if request not in self.sequences:
            return
        request.output_ids, blocks = self.sequences.leave(request)
        for runner in self.runners():
            runner.clear(blocks)

    def runners(self) -> list[ModelRunner]:
        """The target's and, where there is one, the draft's."""
        return [self._target, self._drafter.runner] if self._drafter else [self._target]

    def check(self) -> None:
        """Raise AssertionError when a KV block is lost or held twice."""
        self.sequences.check()

    def _decoded(
        self, batch: Batch, nodes: TreeRows | None, drafts: Drafts | None, logits: Tensor, committed: Committed
    ) -> Ints | None:
        """Choose or verify, and keep the tokens. Returns the accepted counts, None for one each."""
        requests, rows = batch.requests, self.sequences.rows(batch.requests)
        if nodes is None or drafts is None:
            counts = self._commit_one_each(requests, rows, logits, committed)
            return None if counts.all() else counts
        best, finite = likeliest(logits)
        if not finite.all():
            return self._commit_one_each(requests, rows, self._without_drafts(rows, batch.context, nodes), committed)
        verdict = verify(requests, self.sequences, rows, nodes, drafts, logits, best)
        self._compact(rows, batch.context, verdict)
        counts = np.minimum(verdict.accepted + 1, batch.left)
        return self._commit(requests, rows, verdict.tokens, counts, committed)

    def _without_drafts(self, rows: Ints, context: Ints, nodes: TreeRows) -> Tensor:
        """Logits after the roots alone: a draft token that breaks the target must not break the request."""
        written = np.repeat(context, nodes.counts) + places_in(nodes.counts)
        self._target.clear_slots(self.sequences.slots(np.repeat(rows, nodes.counts), written))
        return self._target.forward(decoding(self.sequences, rows, context))

    def _compact(self, rows: Ints, context: Ints, verdict: Verified) -> None:
        """Move the accepted nodes' keys and values to where the sequence goes on."""
        places = np.arange(1, verdict.path.shape[1] + 1)
        row, layer = np.nonzero((places <= verdict.accepted[:, None]) & (verdict.path != places))
        if len(row):
            sources = self.sequences.slots(rows[row], context[row] + verdict.path[row, layer])
            self._target.move(sources, self.sequences.slots(rows[row], context[row] + places[layer]))

    def _commit_one_each(self, requests: Sequence[Request], rows: Ints, logits: Tensor, committed: Committed) -> Ints:
        """Choose the next token of each row; one whose logits [n, vocabulary] are no numbers fails. Returns 1 or 0 of each."""
        best, finite = likeliest(logits)
        tokens = choose(requests, self.sequences, rows, logits, best)
        committed.ended.update((requests[i].id, NOT_FINITE) for i in np.flatnonzero(~finite).tolist())
        return self._commit(requests, rows, tokens[:, None], finite.astype(np.int64), committed)

    def _commit(
        self, requests: Sequence[Request], rows: Ints, tokens: Ints, counts: Ints, committed: Committed
    ) -> Ints:
        """Keep ``counts[i]`` of tokens [n, most] of each row, or those up to a stop token. Returns how many."""
        for i, (request, said, count) in enumerate(zip(requests, tokens.tolist(), counts.tolist(), strict=True)):
            if not request.sampling.ignore_stop and (stop := self._stop(request, said[:count])) is not None:
                counts[i] = count = stop + 1
                committed.ended[request.id] = None
            committed.tokens[request.id] = said[:count]
        self.sequences.append(rows, tokens, counts)
        return counts

    def _stop(self, request: Request, tokens: list[int]) -> int | None:
        """The place of the first token that ends the answer."""
        stops = self._stops.union(request.sampling.stop_ids) if request.sampling.stop_ids else self._stops
        return next((place for place, token in enumerate(tokens) if token in stops), None)


def _drafts_of(trees: TokenTrees) -> Drafts:
    """The drafts that the trees were selected from, which carry their tokens."""
    if not isinstance(trees.candidates, Drafts):
        raise InputError("the trees to verify are over other candidates than were drafted; select nodes of those given.")
    return trees.candidates
