"""The executor that computes: a target decoder, perhaps a draft, and their paged KV caches."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.batch import Batch
from engine.executors.base import Executor
from engine.executors.native.choosing import choose, likeliest, verify
from engine.executors.native.clock import WallClock
from engine.executors.native.composition import Part, known_tokens, places_in, run
from engine.executors.native.drafting import Drafter, Drafts
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import TreeRows, lay_out
from engine.executors.native.verification import Verdict
from engine.kernels.linear import linear_for
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder
from engine.plan import Candidates, Chunk, DraftShape, StepPlan, StepResult
from engine.request import Request

Ints = NDArray[np.int64]
BLOCK_SIZE = 16
NOT_FINITE = "the model gave a logit that is not a number"


def tuned(decoder: Decoder) -> Decoder:
    """The decoder with the fastest products that its device has."""
    faster = copy(decoder)
    faster.linear = linear_for(decoder.weights.tensors())
    return faster


class NativeExecutor(Executor):
    """Runs plans with torch: prefill chunks, decoding and tree verification in one forward of the target.

    ``kv_tokens``: how many tokens of KV cache the engine hands out; the cache itself is some blocks larger, since a block
    is whole and draft tokens need a place. ``kernel``: how attention is computed (engine.kernels.attention.KERNELS).
    """

    clock: WallClock

    def __init__(self, target: Decoder, draft: Decoder | None, kv_tokens: int, kernel: str = "reference"):
        self.clock = WallClock()
        self.context = target.config.context
        self.sequences = Sequences(self.context, 1 - (-kv_tokens // BLOCK_SIZE), BLOCK_SIZE)
        self._target, self._kernel = tuned(target), kernel
        self._stops = frozenset(target.config.stop_ids)
        self._kv = self._cache(target)
        self._drafter = Drafter(tuned(draft), self._cache(draft), self.sequences, kernel) if draft else None
        self.drafts: Drafts | None = None
        self._began: float | None = None

    def refuse(self, request: Request) -> str | None:
        unknown = [token for token in request.prompt_ids or () if not 0 <= token < self._target.config.vocabulary]
        if unknown:
            return f"token {unknown[0]} of the prompt is not in the model's vocabulary of {self._target.config.vocabulary}"
        return super().refuse(request)

    @torch.inference_mode()
    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        if self._drafter is None:
            raise RuntimeError("speculation needs a draft model")
        self._began = self.clock.now
        rows = self.sequences.rows(batch.requests)
        self._reserve(rows, batch.context + 1 + shape.depth * shape.width)
        self.drafts = self._drafter.draft(batch.requests, rows, batch.context, shape)
        return self.drafts.candidates

    @torch.inference_mode()
    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        began = self.clock.now if self._began is None else self._began
        self._began = None
        requests = batch.requests if plan.decode else []
        rows = self.sequences.rows(requests)
        drafts = self.drafts if plan.trees is not None and len(rows) else None
        nodes = lay_out(plan.trees, drafts.tokens) if drafts and plan.trees else None
        parts = [self._decoding(rows, batch.context, nodes)] if len(rows) else []
        parts += [self._prefill(chunk) for chunk in plan.prefill]
        hidden = run(self._target, self._kv, self.sequences, parts, self._kernel)
        decoded, ending = sum(len(part.tokens) for part in parts[: bool(len(rows))]), self._ending(plan, parts)
        logits = self._target.logits(self._wanted(hidden, decoded, ending))
        ended: dict[int, str | None] = {}
        first = [plan.prefill[number].request for number, _ in ending]
        self._first_tokens(first, logits[decoded:], ended)
        accepted = self._decoded(batch, rows, nodes, drafts, logits[:decoded], ended) if len(rows) else None
        return StepResult(self.clock.now - began, accepted, ended or None)

    @torch.inference_mode()
    def release(self, request: Request) -> None:
        if request not in self.sequences:
            return
        request.output_ids, blocks = self.sequences.leave(request)
        for kv in self._caches():
            kv.clear(blocks)

    def check(self) -> None:
        """Raise AssertionError when a KV block is lost or held twice."""
        self.sequences.check()

    def _cache(self, decoder: Decoder) -> PagedKV:
        return PagedKV(decoder.config, self.sequences.capacity, BLOCK_SIZE, decoder.dtype, decoder.device)

    def _caches(self) -> list[PagedKV]:
        return [self._kv, self._drafter.kv] if self._drafter else [self._kv]

    def _reserve(self, rows: Ints, tokens: Ints) -> None:
        if grown := self.sequences.reserve(rows, tokens):
            for kv in self._caches():
                kv.grow(grown)

    def _decoding(self, rows: Ints, context: Ints, nodes: TreeRows | None) -> Part:
        """The roots, each with its selected draft tokens."""
        roots = self.sequences.tokens[rows, context]
        if nodes is None:
            self._reserve(rows, context + 1)
            return Part(rows, context, np.ones_like(rows), roots, context)
        self._reserve(rows, context + nodes.counts)
        begin = np.cumsum(nodes.counts) - nodes.counts
        tokens, depth = np.empty(nodes.counts.sum(), np.int64), np.zeros(nodes.counts.sum(), np.int64)
        tokens[begin] = roots
        inner = begin[nodes.row] + nodes.place
        tokens[inner], depth[inner] = nodes.token, nodes.depth
        return Part(rows, context, nodes.counts, tokens, np.repeat(context, nodes.counts) + depth, nodes.seen())

    def _prefill(self, chunk: Chunk) -> Part:
        if chunk.request not in self.sequences:
            self.sequences.join(chunk.request)
        rows = self.sequences.rows([chunk.request])
        done, count = np.array([chunk.done]), np.array([chunk.tokens])
        self._reserve(rows, done + count)
        return known_tokens(self.sequences, rows, done, count)

    @staticmethod
    def _ending(plan: StepPlan, parts: Sequence[Part]) -> list[tuple[int, int]]:
        """Chunks that end their prefill: their number and the place of their last token in the step's row."""
        if not plan.prefill:
            return []
        ends = np.cumsum([len(part.tokens) for part in parts])[len(parts) - len(plan.prefill) :]
        return [
            (number, int(end) - 1)
            for number, (chunk, end) in enumerate(zip(plan.prefill, ends, strict=True))
            if chunk.done + chunk.tokens == chunk.request.prefill_tokens
        ]

    @staticmethod
    def _wanted(hidden: Tensor, decoded: int, ending: Sequence[tuple[int, int]]) -> Tensor:
        """The states whose logits are needed: of the decoding rows, which come first, and of each ended prefill."""
        if not ending:
            return hidden[:decoded]
        places = [*range(decoded), *(place for _, place in ending)]
        return hidden.index_select(0, torch.tensor(places, dtype=torch.int64, device=hidden.device))

    def _first_tokens(self, requests: list[Request], logits: Tensor, ended: dict[int, str | None]) -> None:
        if requests:
            rows = self.sequences.rows(requests)
            best, finite = likeliest(logits)
            tokens = choose(requests, self.sequences, rows, logits, best)
            self._append(requests, rows, tokens[:, None], finite.astype(np.int64), finite, ended)

    def _decoded(
        self, batch: Batch, rows: Ints, nodes: TreeRows | None, drafts: Drafts | None, logits: Tensor,
        ended: dict[int, str | None],
    ) -> Ints | None:  # fmt: skip
        """Choose or verify, and keep the tokens. Returns the accepted counts, None for one each."""
        requests = batch.requests
        best, finite = likeliest(logits)
        if nodes is not None and drafts is not None and finite.all():
            verdict = verify(requests, self.sequences, rows, nodes, drafts, logits, best)
            self._compact(rows, batch.context, verdict)
            counts = np.minimum(verdict.accepted + 1, batch.left)
            return self._append(requests, rows, verdict.tokens, counts, finite[: len(rows)], ended)
        if nodes is not None:
            logits = self._without_drafts(rows, batch.context, nodes)
            best, finite = likeliest(logits)
        tokens = choose(requests, self.sequences, rows, logits, best)
        counts = self._append(requests, rows, tokens[:, None], finite.astype(np.int64), finite, ended)
        return None if nodes is None and finite.all() else counts

    def _without_drafts(self, rows: Ints, context: Ints, nodes: TreeRows) -> Tensor:
        """Logits after the roots alone: a draft token that breaks the target must not break the request."""
        written = context[np.repeat(np.arange(len(rows)), nodes.counts)] + places_in(nodes.counts)
        self._kv.clear_slots(self.sequences.slots(np.repeat(rows, nodes.counts), written))
        part = self._decoding(rows, context, None)
        return self._target.logits(run(self._target, self._kv, self.sequences, [part], self._kernel))

    def _compact(self, rows: Ints, context: Ints, verdict: Verdict) -> None:
        """Move the accepted nodes' keys and values to where the sequence goes on."""
        places = np.arange(1, verdict.path.shape[1] + 1)
        row, layer = np.nonzero((places <= verdict.accepted[:, None]) & (verdict.path != places))
        if len(row):
            sources = self.sequences.slots(rows[row], context[row] + verdict.path[row, layer])
            self._kv.move(sources, self.sequences.slots(rows[row], context[row] + places[layer]))

    def _append(
        self, requests: Sequence[Request], rows: Ints, tokens: Ints, counts: Ints, sound: NDArray[np.bool_],
        ended: dict[int, str | None],
    ) -> Ints:  # fmt: skip
        """Keep ``counts[i]`` tokens of each row, or those up to a stop token. Returns how many, and notes who ended."""
        said, kept = tokens.tolist(), counts.tolist()
        for i, request in enumerate(requests):
            sampling = request.sampling
            if not sound[i]:
                ended[request.id] = NOT_FINITE
            elif not sampling.ignore_stop:
                stops = self._stops.union(sampling.stop_ids) if sampling.stop_ids else self._stops
                stop = next((place for place in range(kept[i]) if said[i][place] in stops), None)
                if stop is not None:
                    counts[i], ended[request.id] = stop + 1, None
        self.sequences.append(rows, tokens, counts)
        return counts
