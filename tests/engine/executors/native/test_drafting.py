"""The beams of the draft model against a beam search over dense forwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batch import Batch
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.models.decoder import Decoder
from engine.plan import DECODE, DraftShape, StepPlan, TokenTrees
from engine.request import Request
from engine.sampling import Sampling
from tests.engine.contract import assert_valid_beam, prefilled
from tests.engine.executors.native.pairs import ask, make_pair
from tests.engine.models.dense import logits
from tests.engine.strategies import VOCABULARY

PAIR = make_pair()
Node = tuple[float, list[int], int]


def beam(draft: Decoder, tokens: list[int], depth: int, width: int) -> list[list[Node]]:
    """(path probability, tokens from the root, place of the parent) of each layer's best ``width`` nodes."""
    layers: list[list[Node]] = []
    above: list[Node] = [(1.0, [], 0)]
    for _ in range(depth):
        children = []
        for place, (chance, path, _) in enumerate(above):
            after = logits(draft, [*tokens, *path])[-1].double().softmax(-1)
            best = after.topk(width)
            children += [
                (chance * float(p), [*path, int(token)], place) for p, token in zip(best.values, best.indices, strict=True)
            ]
        above = sorted(children, key=lambda node: -node[0])[:width]
        layers.append(above)
    return layers


def started(executor: NativeExecutor, requests: list[Request]) -> Batch:
    batch = Batch()
    for request in requests:
        batch.add(prefilled(executor, request))
    return batch


def known(executor: NativeExecutor, request: Request) -> list[int]:
    row = executor.sequences.rows([request])[0]
    return executor.sequences.tokens[row, : executor.sequences.length[row]].tolist()


@settings(max_examples=12, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40), min_size=1, max_size=3),
    depth=st.integers(1, 4),
    width=st.integers(1, 3),
    plain=st.integers(0, 20),
)
def test_drafts_are_the_beam_of_a_dense_search(prompts: list[list[int]], depth: int, width: int, plain: int) -> None:
    executor = PAIR.executor()
    requests = [ask(i, prompt, 60) for i, prompt in enumerate(prompts)]
    batch = started(executor, requests)
    for steps in (plain, 1, 0):
        for _ in range(steps):
            executor.forward(DECODE, batch)
            batch.advance()
        drafts = executor.draft(batch, DraftShape(depth, width, 99))
        assert_valid_beam(drafts)
        for row, request in enumerate(requests):
            for layer, nodes in enumerate(beam(PAIR.draft, known(executor, request), depth, width)):
                assert drafts.probability[row, layer] == pytest.approx([node[0] for node in nodes], rel=1e-3)
                assert drafts.parent[row, layer].tolist() == [node[2] for node in nodes]
                assert drafts.tokens[row, layer].tolist() == [node[1][-1] for node in nodes]


def test_a_beam_of_more_nodes_than_a_word_has_bits() -> None:
    executor, request = PAIR.executor(draft_tokens=72), ask(0, [5, 7, 9], 60)
    drafts = executor.draft(started(executor, [request]), DraftShape(6, 12, 99))
    nodes = beam(PAIR.draft, known(executor, request), 6, 12)
    assert drafts.probability[0] == pytest.approx(np.array([[n[0] for n in layer] for layer in nodes]), rel=1e-3)
    assert drafts.tokens[0].tolist() == [[n[1][-1] for n in layer] for layer in nodes]


@pytest.mark.parametrize("shape", [DraftShape(2, VOCABULARY + 1, 999), DraftShape(2, 128, 999, branching=(2, VOCABULARY))])
def test_a_layer_wider_than_the_vocabulary_has_empty_places(shape: DraftShape) -> None:
    executor, request = PAIR.executor(draft_tokens=300), ask(0, [5, 7, 9], 60)
    drafts = executor.draft(started(executor, [request]), shape)
    first = VOCABULARY if shape.branching is None else 2
    assert ((drafts.probability[0, 0] > 0) == (np.arange(shape.width) < first)).all()
    assert (drafts.probability[0, 1] > 0).all()


def test_a_beam_after_accepted_nodes_sees_them() -> None:
    executor = PAIR.executor()
    requests = [ask(i, [5 * i + 1, 7, 9], 60) for i in range(4)]
    batch = started(executor, requests)
    shape = DraftShape(3, 3, 99, whole=True)
    for _ in range(6):
        candidates = executor.draft(batch, shape)
        for row, request in enumerate(requests):
            nodes = beam(PAIR.draft, known(executor, request), 3, 3)
            assert candidates.probability[row] == pytest.approx(np.array([[n[0] for n in layer] for layer in nodes]), rel=1e-3)
        trees = TokenTrees(candidates, candidates.probability > 0)
        accepted = executor.forward(StepPlan(decode=True, draft=shape, trees=trees), batch).accepted
        assert accepted is not None
        batch.advance_by(accepted, np.zeros_like(accepted))
    assert batch.accepted.sum() > 0


@pytest.mark.parametrize(("whole", "drawn"), [(True, True), (False, False)])
def test_a_chain_is_drawn_only_where_everything_will_be_verified(whole: bool, drawn: bool) -> None:
    executor = PAIR.executor()
    requests = [ask(i, [5, 7, 9], 60, Sampling(1.0, seed=i % 40, ignore_stop=True)) for i in range(80)]
    batch = started(executor, requests)
    executor.sequences.tokens[executor.sequences.rows(requests), 3] = 11
    drafts = executor.draft(batch, DraftShape(2, 1, 999, whole=whole))
    tokens, sources = drafts.tokens[:, 0, 0], drafts.drawn_from
    assert (len(set(tokens.tolist())) > 5) == drawn and (tokens[:40] == tokens[40:]).all()
    assert len(sources) == (80 if drawn else 0)
    after = logits(PAIR.draft, [5, 7, 9, 11])[-1].double().softmax(-1).numpy()
    for row, (first, second) in sources.items():
        assert first == pytest.approx(after, abs=1e-5)
        assert second is not None and second.sum() == pytest.approx(1)
        assert drafts.probability[row, 0, 0] == pytest.approx(after[tokens[row]], rel=1e-3)


def test_greedy_requests_beside_sampled_ones_are_ranked() -> None:
    executor = PAIR.executor()
    requests = [ask(i, [5, 7, 9], 60, Sampling(float(i % 2), seed=i, ignore_stop=True)) for i in range(6)]
    drafts = executor.draft(started(executor, requests), DraftShape(2, 1, 999, whole=True))
    assert sorted(drafts.drawn_from) == [1, 3, 5]


def test_a_draft_of_a_shorter_context_still_drafts() -> None:
    """Beyond it the last position is used again: worse drafts, no error."""
    short = Decoder(type(PAIR.draft.config)(**{**vars(PAIR.draft.config), "context": 16}), PAIR.draft.weights)
    executor = NativeExecutor(PAIR.target, short, Capacity(400, 1, 6))
    batch = started(executor, [ask(0, list(range(30)), 20)])
    assert_valid_beam(executor.draft(batch, DraftShape(3, 2, 99)))


def test_drafts_at_the_end_of_the_context_have_room() -> None:
    executor = PAIR.executor()
    context = PAIR.target.config.context
    batch = started(executor, [ask(0, torch.arange(context - 2).remainder(VOCABULARY).tolist(), 2)])
    shape = DraftShape(8, 3, 99)
    trees = TokenTrees(candidates := executor.draft(batch, shape), candidates.probability > 0)
    accepted = executor.forward(StepPlan(decode=True, draft=shape, trees=trees), batch).accepted
    assert accepted is not None and accepted.tolist() == [1]
