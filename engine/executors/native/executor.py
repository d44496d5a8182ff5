"""The executor that computes: a target decoder, perhaps a draft, and their paged KV caches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.batch import Batch
from engine.executors.base import Executor
from engine.executors.native.choosing import choose, likeliest, verify
from engine.executors.native.clock import WallClock
from engine.executors.native.composition import Part, known_tokens, run
from engine.executors.native.drafting import Drafter, Drafts
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import TreeRows, lay_out
from engine.executors.native.verification import Verdict
from engine.kernels.paged_kv import PagedKV
from engine.models.decoder import Decoder
from engine.plan import Candidates, Chunk, DraftShape, StepPlan, StepResult
from engine.request import Request

Ints = NDArray[np.int64]
BLOCK_SIZE = 16
NOT_FINITE = "the model gave a logit that is not a number"


class NativeExecutor(Executor):
    """Runs plans with torch: prefill chunks, decoding and tree verification in one forward of the target.

    ``kv_tokens``: how many tokens of KV cache the engine hands out; the cache itself is some blocks larger, since a block
    is whole and draft tokens need a place. ``kernel``: how attention is computed (engine.kernels.attention.KERNELS).
    """

    def __init__(self, target: Decoder, draft: Decoder | None, kv_tokens: int, kernel: str = "reference"):
        self.clock = WallClock()
        self.context = target.config.context
        self.sequences = Sequences(self.context, 1 - (-kv_tokens // BLOCK_SIZE), BLOCK_SIZE)
        self._target, self._kernel = target, kernel
        self._kv = self._cache(target)
        self._drafter = Drafter(draft, self._cache(draft), self.sequences, kernel) if draft else None
        self._drafts: Drafts | None = None
        self._began: float | None = None
        self._failed: set[int] = set()

    @torch.inference_mode()
    def draft(self, batch: Batch, shape: DraftShape) -> Candidates:
        if self._drafter is None:
            raise RuntimeError("speculation needs a draft model")
        self._began = self.clock.now
        rows = self.sequences.rows(batch.requests)
        self._reserve(rows, batch.context + 1 + shape.depth * shape.width)
        self._drafts = self._drafter.draft(batch.requests, rows, batch.context, shape)
        return self._drafts.candidates

    @torch.inference_mode()
    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        began = self.clock.now if self._began is None else self._began
        self._began = None
        requests = batch.requests if plan.decode else []
        rows = self.sequences.rows(requests)
        drafts = self._drafts if plan.trees is not None and len(rows) else None
        nodes = lay_out(plan.trees, drafts.tokens) if drafts and plan.trees else None
        parts = [self._decoding(rows, batch.context, nodes)] if len(rows) else []
        parts += [self._prefill(chunk) for chunk in plan.prefill]
        hidden = run(self._target, self._kv, self.sequences, parts, self._kernel)
        decoded, ending = sum(len(part.tokens) for part in parts[: bool(len(rows))]), self._ending(plan, parts)
        logits = self._target.logits(hidden.index_select(0, self._wanted(decoded, ending)))
        ended: dict[int, str | None] = {}
        first = [plan.prefill[number].request for number, _ in ending]
        self._first_tokens(first, logits[decoded:], ended)
        accepted = self._decoded(batch, rows, nodes, drafts, logits[:decoded], ended) if len(rows) else None
        return StepResult(self.clock.now - began, accepted, ended or None)

    def release(self, request: Request) -> None:
        if request not in self.sequences:
            return
        request.output_ids, blocks = self.sequences.leave(request)
        if request.id in self._failed:
            self._failed.discard(request.id)
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
        ends = np.cumsum([len(part.tokens) for part in parts])[len(parts) - len(plan.prefill) :]
        return [
            (number, int(end) - 1)
            for number, (chunk, end) in enumerate(zip(plan.prefill, ends, strict=True))
            if chunk.done + chunk.tokens == chunk.request.prefill_tokens
        ]

    def _wanted(self, decoded: int, ending: Sequence[tuple[int, int]]) -> Tensor:
        places = [*range(decoded), *(place for _, place in ending)]
        return torch.tensor(places, dtype=torch.int64, device=self._target.device)

    def _first_tokens(self, requests: list[Request], logits: Tensor, ended: dict[int, str | None]) -> None:
        if requests:
            rows = self.sequences.rows(requests)
            best, finite = likeliest(logits)
            tokens = choose(requests, self._places(requests, rows), logits, best)
            self._append(requests, rows, tokens[:, None], finite.astype(np.int64), finite, ended)

    def _decoded(
        self, batch: Batch, rows: Ints, nodes: TreeRows | None, drafts: Drafts | None, logits: Tensor,
        ended: dict[int, str | None],
    ) -> Ints | None:  # fmt: skip
        """Choose or verify, and keep the tokens. Returns the accepted counts, None for one each."""
        requests, places = batch.requests, self._places(batch.requests, rows)
        best, finite = likeliest(logits)
        if nodes is None or drafts is None:
            tokens = choose(requests, places, logits, best)
            counts = self._append(requests, rows, tokens[:, None], finite.astype(np.int64), finite, ended)
            return None if finite.all() else counts
        verdict = verify(requests, places, nodes, drafts, logits, best)
        sound = self._sound(nodes, verdict, finite)
        self._compact(rows, batch.context, verdict)
        counts = np.where(sound, np.minimum(verdict.accepted + 1, batch.left), 0)
        return self._append(requests, rows, verdict.tokens, counts, sound, ended)

    def _places(self, requests: Sequence[Request], rows: Ints) -> Ints:
        """Answered tokens of each request."""
        prompts = np.fromiter((request.prompt_tokens for request in requests), np.int64, len(rows))
        return self.sequences.length[rows] - prompts

    @staticmethod
    def _sound(nodes: TreeRows, verdict: Verdict, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether the root and every accepted node of a tree have logits that are numbers."""
        begin = np.cumsum(nodes.counts) - nodes.counts
        visited = finite[begin[:, None] + verdict.path] | (np.arange(verdict.path.shape[1]) >= verdict.accepted[:, None])
        return finite[begin] & visited.all(axis=1)

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
        for i, request in enumerate(requests):
            if not sound[i]:
                ended[request.id] = NOT_FINITE
                self._failed.add(request.id)
            elif not request.sampling.ignore_stop:
                stops = {*self._target.config.stop_ids, *request.sampling.stop_ids}
                stop = next((place for place in range(counts[i]) if int(tokens[i, place]) in stops), None)
                if stop is not None:
                    counts[i], ended[request.id] = stop + 1, None
        self.sequences.append(rows, tokens, counts)
        return counts
