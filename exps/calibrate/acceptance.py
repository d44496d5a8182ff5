"""What the target of a pair accepts of its draft's beams, measured on held-out text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.batch import Batch
from engine.executors.native.capacity import Capacity
from engine.executors.native.drafting import Drafts
from engine.executors.native.executor import NativeExecutor
from engine.executors.simulated.measured import MISSED, Beams, MeasuredAcceptance, save_measured
from engine.executors.simulated.profiles import ROOT
from engine.plan import Chunk, DraftShape, StepPlan, TokenTrees
from engine.request import Request
from exps.report import Reporter
from exps.run.native.models import load, load_prompts
from exps.run.native.serving import TO_THE_END
from exps.workload.adaserve_loads import AnswerLengths

DEPTH, WIDTHS = 8, (1, 2, 3)
TEXTS, TOGETHER, SEED = 24, 24, 0
Found = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def command(report: Reporter) -> None:
    """`cli.py fit --pair`: measure the tiny pair's acceptance and keep it among the profiles."""
    path = ROOT / "acceptance" / "tiny.npz"
    with report.status("Measuring what the tiny pair accepts") as say:
        acceptance = measure_acceptance("tiny", say)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_measured(path, acceptance)
    for width, beams in acceptance.beams.items():
        tokens = 1 + (beams.hit != MISSED).sum(axis=1)
        by_kind = {kind: float(tokens[beams.kind == number].mean()) for number, kind in enumerate(acceptance.kinds)}
        report.values(f"Tokens a verification, whole beams of depth {DEPTH} and width {width}", by_kind)
    report.say(f"Profile: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def measure_acceptance(model: str, say: Callable[[str], None]) -> MeasuredAcceptance:
    """Greedy answers to ``TEXTS`` held-out texts of each kind, verified with whole beams of every width.

    Answers are as long as in AdaServe's workload: what a draft gets right changes along them.
    """
    pair, prompts = load(model, "own").pair, load_prompts(model, "own")
    lengths = prompts.lengths()
    room = pair.target.config.context - AnswerLengths.cap - DEPTH
    beams: dict[int, list[tuple[Found, int]]] = {width: [] for width in WIDTHS}
    for width in WIDTHS:
        for number, texts in enumerate(lengths.values()):
            say(f"width {width}, {list(lengths)[number]}")
            fitting = [text for text, tokens in texts if tokens <= room][:TEXTS]
            for begin in range(0, len(fitting), TOGETHER):
                group = [prompts.ids[text] for text in fitting[begin : begin + TOGETHER]]
                answers = AnswerLengths().draw(len(group), np.random.default_rng((SEED, number))).tolist()
                capacity = Capacity(sum(map(len, group)) + sum(answers), len(group), DEPTH * width)
                executor = NativeExecutor(pair.target, pair.draft, capacity)
                found = _answer(executor, group, answers, DraftShape(DEPTH, width, 1 << 20))
                beams[width] += [(part, number) for part in found]
    return MeasuredAcceptance(tuple(lengths), {width: _stacked(found) for width, found in beams.items()})


def _answer(
    executor: NativeExecutor, prompts: Sequence[tuple[int, ...]], answers: Sequence[int], shape: DraftShape
) -> Iterator[Found]:
    """Beams of every step until all answers are whole, but for those that the end of an answer cuts off."""
    batch = Batch()
    for number, (ids, tokens) in enumerate(zip(prompts, answers, strict=True)):
        request = Request(number, "text", len(ids), tokens, 0.0, prompt_ids=ids, sampling=TO_THE_END)
        executor.forward(StepPlan(prefill=[Chunk(request, 0, len(ids))]), Batch())
        request.produced, request.first_token_s = 1, 0.0
        batch.add(request)
    while batch.requests:
        drafts = executor.draft(batch, shape)
        trees = TokenTrees(drafts, drafts.probability > 0)
        result = executor.forward(StepPlan(decode=True, draft=shape, trees=trees), batch)
        assert result.accepted is not None and result.tokens is not None
        said = np.full((len(batch), DEPTH), MISSED)
        for row, request in enumerate(batch.requests):
            new = result.tokens[request.id][:DEPTH]
            said[row, : len(new)] = new
        whole, hits = batch.left > DEPTH + 1, _hits(drafts, said)
        yield drafts.probability[whole], drafts.parent[whole], hits[whole]
        for request in batch.remove(batch.advance_by(result.accepted, trees.selected.sum(axis=(1, 2)))):
            executor.release(request)


def _hits(drafts: Drafts, said: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n, depth]: the place in each layer of what the target ``said`` [n, depth], MISSED from where it left the beam."""
    n, depth, _ = drafts.tokens.shape
    hits = np.full((n, depth), MISSED)
    at, alive = np.zeros(n, np.int64), np.ones(n, bool)
    for layer in range(depth):
        fits = (drafts.tokens[:, layer] == said[:, layer, None]) & (drafts.parent[:, layer] == at[:, None]) & alive[:, None]
        alive = fits.any(axis=1)
        at = fits.argmax(axis=1)
        hits[alive, layer] = at[alive]
    return hits


def _stacked(found: Sequence[tuple[Found, int]]) -> Beams:
    parts = [part for part, _ in found]
    kind = np.concatenate([np.full(len(part[0]), number) for part, number in found])
    probability, parent, hit = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Beams(probability, parent.astype(np.int64), hit.astype(np.int64), kind)
