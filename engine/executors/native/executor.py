"""The executor that computes: a target model, perhaps a draft, and what is known of the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count as count_from

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.batch import Batch
from engine.errors import InputError
from engine.executors.base import Executor
from engine.executors.native.ahead import Ahead, Habit, NextTokens, taken
from engine.executors.native.beams import DeviceBeam
from engine.executors.native.capacity import BLOCK_SIZE, Capacity
from engine.executors.native.choosing import choose, log_probabilities, verify
from engine.executors.native.clock import WallClock
from engine.executors.native.composition import compose_step, decoding, ends_prefill, places_in, prefilling
from engine.executors.native.device_trees import DeviceTrees
from engine.executors.native.drafting import Drafter, Drafts
from engine.executors.native.graphs import MOST_TOKENS, Bucket, decoding_buckets, uneven_buckets
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.runner import MakeRunner, Runner
from engine.executors.native.sequences import Sequences
from engine.executors.native.timing import DRAFT, HOST, PREFILL, NoTimes, Times
from engine.executors.native.trees import TreeRows, lay_out
from engine.executors.native.verification import Verified
from engine.models.decoder import Decoder
from engine.plan import DraftShape, Selection, StepPlan, StepResult, TokenTrees
from engine.request import Request

Ints = NDArray[np.int64]
WIDEST = 8
NOT_FINITE = "the model gave a logit that is not a number"


@dataclass(slots=True)
class Committed:
    """What a step adds to answers, and which it ends, by request id (see StepResult)."""

    tokens: dict[int, list[int]] = field(default_factory=dict)
    ended: dict[int, str | None] = field(default_factory=dict)
    logprobs: dict[int, list[float]] = field(default_factory=dict)


class NativeExecutor(Executor):
    """Runs plans with torch: prefill chunks, decoding and tree verification in one forward of the target.

    ``capacity``: what its KV caches have room for. ``kernel``: whose kernels compute it (engine.kernels.attention).
    ``graphs``: forwards that are not too large are replayed as CUDA graphs. ``ahead``: the decode step after the one that is
    under way begins before its plan is known, on the guess that who runs goes on, unless prompts often come between; it takes
    a place of each sequence's drafts.
    ``times`` may be set to hear where the device's time goes while trees stay on it.
    ``make_runner`` gives the target its runner: ModelRunner, or several ranks (engine.executors.native.parallel.ranks). The
    draft is always here and whole.
    """

    clock: WallClock

    def __init__(
        self, target: Decoder, draft: Decoder | None, capacity: Capacity, kernel: str = "reference", graphs: bool = False,
        ahead: bool = False, make_runner: MakeRunner = ModelRunner,
    ):
        self.clock = WallClock()
        self.context = target.config.context
        self.sequences = Sequences(self.context, capacity.blocks, BLOCK_SIZE, capacity.draft_tokens)
        self._config, self._stops = target.config, frozenset(target.config.stop_ids)
        longest = self.sequences.table.shape[1]
        self._target = make_runner(target, capacity.blocks, BLOCK_SIZE, kernel, graphs, longest)
        self._group, self._drafter = target.config.group, None
        self._device_trees: DeviceTrees | None = None
        if draft is not None:
            runner = ModelRunner(draft, capacity.blocks, BLOCK_SIZE, kernel, graphs, longest)
            self._draft_group, self._drafter = draft.config.group, Drafter(runner, self.sequences)
            if isinstance(self._target, ModelRunner):
                self._device_trees = DeviceTrees(self._target, self._group, self.sequences)
        self._drafted: tuple[DeviceBeam, DraftShape, Selection | None] | None = None
        self._began: float | None = None
        self._looks_ahead = ahead and capacity.draft_tokens > 0
        self._ahead: Ahead | None = None
        self._habit = Habit()
        self._swapped: dict[int, int] = {}
        self.times: Times = NoTimes()

    def warm_up(self, sequences: int, say: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Capture what steps of up to ``sequences`` sequences replay; ``say`` hears how many of how many are done."""
        wanted = [(self._target, self._known_tokens(sequences, self._group))]
        if self._drafter:
            draft, width = self._drafter.runner, min(self.sequences.draft_tokens, WIDEST)
            wanted[0][1].extend(uneven_buckets(sequences, MOST_TOKENS, self._group, 1, last_only=False))
            layers = uneven_buckets(sequences, width, self._draft_group, 1, last_only=False)
            wanted.append((draft, [*self._known_tokens(sequences, self._draft_group), *layers]))
        whole = sum(len(buckets) for _, buckets in wanted)
        count = count_from(1)
        for runner, buckets in wanted:
            runner.warm_up(buckets, lambda: say(next(count), whole))
        if self._device_trees is not None and self._drafter is not None:
            self._device_trees.warm_up()
            self._drafter.warm_up()

    @staticmethod
    def _known_tokens(sequences: int, group: int) -> list[Bucket]:
        """Of steps that decode, read prompts, or catch up."""
        return [*decoding_buckets(sequences), *uneven_buckets(sequences, MOST_TOKENS, group, 0, last_only=True)]

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
    def draft_and_select(self, batch: Batch, shape: DraftShape, rule: Selection | None) -> bool:
        if self._drafter is None or not self.stays_on_device(batch.requests, shape, rule):
            return False
        self._began = self.clock.now
        self.times.mark(HOST)
        rows = self.sequences.rows(batch.requests)
        self._drafted = self._drafter.device_beam(rows, batch.context, shape), shape, rule
        self.times.mark(DRAFT)
        return True

    def stays_on_device(self, requests: Sequence[Request], shape: DraftShape, rule: Selection | None) -> bool:
        """Whether the drafts are selected and accepted on the device too."""
        if self._device_trees is None or self._drafter is None or not self._drafter.grows_on_device(shape):
            return False
        return self._device_trees.take(len(requests), shape, rule) and not any(map(_needs_logits, requests))

    @torch.inference_mode()
    def forward(self, plan: StepPlan, batch: Batch) -> StepResult:
        began = self.clock.now if self._began is None else self._began
        self._began = None
        committed, ahead, self._ahead = Committed(), self._ahead, None
        if self._drafted is not None:
            accepted: Ints | None = self._verified_on_device(plan, batch, committed)
        else:
            accepted = self._verified(plan, batch, committed) if plan.trees else self._decoded(plan, batch, ahead, committed)
        ended, logprobs = committed.ended or None, committed.logprobs or None
        return StepResult(self.clock.now - began, accepted, ended, committed.tokens, logprobs)

    @torch.inference_mode()
    def release(self, request: Request) -> None:
        if self._swapped.pop(request.id, None) is not None:
            for runner in self.runners():
                runner.forget(request.id)
        if request in self.sequences:
            self._leave(request)

    def _leave(self, request: Request) -> None:
        request.output_ids, blocks = self.sequences.leave(request)
        for runner in self.runners():
            runner.clear(blocks)

    @torch.inference_mode()
    def swap_out(self, request: Request) -> None:
        row = self.sequences.rows([request])
        blocks = self.sequences.tables(row, request.prefilled)[0].copy()
        drafted = int(self.sequences.drafted[row[0]])
        for runner in self.runners():
            runner.swap_out(request.id, blocks)
        self._leave(request)
        self._swapped[request.id] = drafted

    @torch.inference_mode()
    def swap_in(self, request: Request) -> None:
        drafted = self._swapped.pop(request.id)
        self.sequences.join(request)
        row = self.sequences.rows([request])
        self.sequences.reserve(row, np.array([request.prefilled]))
        self.sequences.drafted[row] = min(drafted, request.prefilled)
        blocks = self.sequences.tables(row, request.prefilled)[0]
        for runner in self.runners():
            runner.swap_in(request.id, blocks)

    def runners(self) -> list[Runner]:
        """The target's and, where there is one, the draft's."""
        return [self._target, self._drafter.runner] if self._drafter else [self._target]

    def check(self) -> None:
        """Raise AssertionError when a KV block is lost or held twice."""
        self.sequences.check()

    def _next_tokens(self, logits: Tensor) -> NextTokens:
        return NextTokens(logits, self._target.wait)

    def _decoded(self, plan: StepPlan, batch: Batch, ahead: Ahead | None, committed: Committed) -> Ints | None:
        """One token for each row and each prefill that ends. Returns the counts of the rows, None for one each.

        The step after it begins at once, but not after a prefill: another may follow, and rows cost little beside one.
        """
        rows = list(batch.requests) if plan.decode else []
        self._habit.planned(rows, batch.context[: len(rows)])
        first = [chunk.request for chunk in plan.prefill if ends_prefill(chunk)]
        places = ahead.of_these(rows, batch.context) if ahead else None
        if ahead is None or places is None:
            found = self._next_tokens(self._target.forward(compose_step(self.sequences, plan, batch, None)))
            parts = [_of_rows(rows, batch, found, np.arange(len(rows)))]
            parts.append(_of_prefills(first, found, np.arange(len(rows), len(rows) + len(first))))
        else:
            parts = [_of_rows(rows, batch, ahead.following, places)]
            if plan.prefill:
                found = self._next_tokens(self._target.forward(prefilling(self.sequences, plan.prefill)))
                parts.append(_of_prefills(first, found, np.arange(len(first))))
        parts = [part for part in parts if part.requests]
        if self._looks_ahead and not plan.prefill:
            self._ahead = self._begun(parts)
        counts = [self._commit_one_each(part.requests, part.found, part.places, committed) for part in parts]
        return None if not rows or counts[0].all() else counts[0]

    def _begun(self, parts: Sequence[Part]) -> Ahead | None:
        """The next decode step of all that goes on, begun; None where this step's logits are still needed after its tokens."""
        requests = [request for part in parts for request, left in zip(part.requests, part.left.tolist(), strict=True) if left]
        if not requests or any(_needs_logits(request) for part in parts for request in part.requests):
            return None
        context = np.concatenate([part.context[part.left > 0] for part in parts])
        if not self._habit.expect(requests, context):
            return None
        tokens = torch.cat([taken(part.found.tokens, part.places[part.left > 0]) for part in parts])
        step = decoding(self.sequences, self.sequences.rows(requests), context)
        return Ahead.of(requests, context, self._next_tokens(self._target.forward(step, tokens)))

    def _verified(self, plan: StepPlan, batch: Batch, committed: Committed) -> Ints:
        """The tokens that the target accepts of each tree, and one for each prefill that ends. Returns the rows' counts."""
        assert plan.trees is not None
        requests, rows = batch.requests, self.sequences.rows(batch.requests)
        drafts = _drafts_of(plan.trees)
        nodes = lay_out(plan.trees, drafts.tokens)
        found = self._next_tokens(self._target.forward(compose_step(self.sequences, plan, batch, nodes)))
        first, whole = [chunk.request for chunk in plan.prefill if ends_prefill(chunk)], int(nodes.counts.sum())
        if first:
            self._commit_one_each(first, found, np.arange(whole, whole + len(first)), committed)
        best, finite = found.read()
        if not finite[:whole].all():
            alone = self._next_tokens(self._without_drafts(rows, batch.context, nodes))
            return self._commit_one_each(requests, alone, np.arange(len(rows)), committed)
        verdict = verify(requests, self.sequences, rows, nodes, drafts, found.logits[:whole], best[:whole])
        self._compact(rows, batch.context, verdict)
        counts = np.minimum(verdict.accepted + 1, batch.left)
        begin = np.cumsum(nodes.counts) - nodes.counts
        after = begin[:, None] + np.pad(verdict.path, ((0, 0), (1, 0)))
        return self._commit(requests, rows, verdict.tokens, counts, (found.logits, after), committed)

    def _verified_on_device(self, plan: StepPlan, batch: Batch, committed: Committed) -> Ints:
        """The same where drafts, selection and acceptance stay on the device; the draft then begins to catch up."""
        assert self._device_trees is not None and self._drafted is not None and self._drafter is not None
        (beam, shape, rule), self._drafted = self._drafted, None
        requests, rows = batch.requests, self.sequences.rows(batch.requests)
        verification = self._device_trees.verify(rows, batch.context, beam, shape, rule, self.times)
        first = [chunk.request for chunk in plan.prefill if ends_prefill(chunk)]
        if plan.prefill:
            read = self._next_tokens(self._target.forward(prefilling(self.sequences, plan.prefill)))
            self.times.mark(PREFILL)
        outcome = verification.read()
        plan.trees, verdict = outcome.trees, outcome.verdict
        if first:
            self._commit_one_each(first, read, np.arange(len(first)), committed)
        if not outcome.finite.all():
            nodes = lay_out(plan.trees, _drafts_of(plan.trees).tokens)
            alone = self._next_tokens(self._without_drafts(rows, batch.context, nodes))
            return self._commit_one_each(requests, alone, np.arange(len(rows)), committed)
        counts = self._commit(requests, rows, verdict.tokens, np.minimum(verdict.accepted + 1, batch.left), None, committed)
        goes_on = (counts < batch.left) & [request.id not in committed.ended for request in requests]
        if self._looks_ahead and goes_on.any():
            self.times.mark(HOST)
            self._drafter.begin(rows[goes_on], (batch.context + counts)[goes_on])
            self.times.mark(DRAFT)
        return counts

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

    def _commit_one_each(self, requests: Sequence[Request], found: NextTokens, places: Ints, committed: Committed) -> Ints:
        """Choose the next token of each request; one whose logits are no numbers fails. Returns 1 or 0 of each."""
        rows = self.sequences.rows(requests)
        best, finite = found.read()
        best, finite = best[places], finite[places]
        tokens = choose(requests, self.sequences, rows, found.logits, places, best)
        committed.ended.update((requests[i].id, NOT_FINITE) for i in np.flatnonzero(~finite).tolist())
        after = found.logits, places[:, None]
        return self._commit(requests, rows, tokens[:, None], finite.astype(np.int64), after, committed)

    def _commit(
        self, requests: Sequence[Request], rows: Ints, tokens: Ints, counts: Ints, after: tuple[Tensor, Ints] | None,
        committed: Committed,
    ) -> Ints:
        """Keep ``counts[i]`` of tokens [n, most] of each row, or those up to a stop token. Returns how many.

        ``after``: logits, and those of their rows [n, most] that the tokens came after; None where nobody asks for them.
        """
        for i, (request, said, count) in enumerate(zip(requests, tokens.tolist(), counts.tolist(), strict=True)):
            if not request.sampling.ignore_stop and (stop := self._stop(request, said[:count])) is not None:
                counts[i] = count = stop + 1
                committed.ended[request.id] = None
            committed.tokens[request.id] = said[:count]
            if request.sampling.logprobs and after is not None:
                logits, places = after
                committed.logprobs[request.id] = log_probabilities(logits, places[i, :count], said[:count])
        self.sequences.append(rows, tokens, counts)
        return counts

    def _stop(self, request: Request, tokens: list[int]) -> int | None:
        """The place of the first token that ends the answer."""
        stops = self._stops.union(request.sampling.stop_ids) if request.sampling.stop_ids else self._stops
        return next((place for place, token in enumerate(tokens) if token in stops), None)


@dataclass(frozen=True, slots=True)
class Part:
    """Requests whose next tokens are those of ``found`` at ``places``. After them ``context`` tokens are in the KV cache and
    ``left`` are still to come."""

    requests: list[Request]
    found: NextTokens
    places: Ints
    context: Ints
    left: Ints


def _of_rows(rows: list[Request], batch: Batch, found: NextTokens, places: Ints) -> Part:
    return Part(rows, found, places, batch.context + 1, batch.left - 1)


def _of_prefills(requests: list[Request], found: NextTokens, places: Ints) -> Part:
    tokens = [(request.prefill_tokens, request.output_tokens - request.generated - 1) for request in requests]
    context, left = np.array(tokens, np.int64).reshape(-1, 2).T
    return Part(requests, found, places, context, left)


def _needs_logits(request: Request) -> bool:
    return request.sampling.temperature > 0 or request.sampling.logprobs


def _drafts_of(trees: TokenTrees) -> Drafts:
    """The drafts that the trees were selected from, which carry their tokens."""
    if not isinstance(trees.candidates, Drafts):
        raise InputError("the trees to verify are over other candidates than were drafted; select nodes of those given.")
    return trees.candidates
