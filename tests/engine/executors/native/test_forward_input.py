"""A forward as plain arrays: its tree mask, and that nothing else is needed to run it."""

from __future__ import annotations

import ast
import inspect
import pickle
from dataclasses import fields

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.batch import Batch
from engine.executors.native import forward_input
from engine.executors.native.composition import compose_step
from engine.executors.native.drafting import Drafts
from engine.executors.native.forward_input import ForwardInput, see, words_for
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import lay_out
from engine.kernels.reference import hidden_causally, hidden_in_tree
from engine.plan import Chunk, StepPlan, TokenTrees
from tests.engine.executors.native.pairs import CONFIG, ask, make_pair
from tests.engine.executors.native.trees import token_trees
from tests.engine.strategies import make_request

TARGET = make_pair().target
Bools = NDArray[np.bool_]


def dense(parents: list[int], new: int) -> Bools:
    """[new, nodes]: the ancestors of each of the last ``new`` nodes, itself included; -1 is a parent outside the tree."""
    mask = np.zeros((len(parents), len(parents)), bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] = mask[parent]
        mask[node, node] = True
    return mask[len(parents) - new :]


def packed(mask: Bools) -> NDArray[np.int64]:
    words = np.zeros((len(mask), words_for(mask.shape[1])), np.int64)
    for token, node in zip(*np.nonzero(mask), strict=True):
        see(words, np.array([token]), np.array([node]))
    return words


@st.composite
def trees(draw: st.DrawFn) -> list[int]:
    """Parents before children, up to three words of them."""
    count, seed = draw(st.sampled_from((1, 2, 5, 63, 64, 65, 128, 150))), draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    return [int(rng.integers(-1, node)) if node else -1 for node in range(count)]


@settings(deadline=None)
@given(parents=trees(), before=st.integers(0, 90), data=st.data())
def test_bits_expand_to_the_dense_mask(parents: list[int], before: int, data: st.DataObject) -> None:
    """A sequence of ``before`` tokens and then a tree, of which some of the last nodes are new."""
    new, width = data.draw(st.integers(1, len(parents))), before + len(parents) + data.draw(st.integers(0, 20))
    wanted = np.zeros((new, width), bool)
    wanted[:, :before] = True
    wanted[:, before : before + len(parents)] = dense(parents, new)
    hidden = hidden_in_tree(torch.tensor([before]), torch.from_numpy(packed(dense(parents, new)))[None], width)
    assert (hidden[0].numpy() == ~wanted).all()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 50))
def test_without_a_tree_a_token_sees_up_to_itself(contexts: list[int], new: int, width: int) -> None:
    hidden = hidden_causally(torch.tensor(contexts), new, width)
    for context, mask in zip(contexts, hidden.tolist(), strict=True):
        assert mask == [[place > context + token for place in range(width)] for token in range(new)]


def test_it_needs_no_torch() -> None:
    imported = [node for node in ast.walk(ast.parse(inspect.getsource(forward_input))) if isinstance(node, ast.ImportFrom)]
    assert not any("torch" in str(node.module) or "kernels" in str(node.module) for node in imported)
    assert not hasattr(forward_input, "torch")


@settings(max_examples=25, deadline=None)
@given(drawn=token_trees(), speculates=st.booleans(), chunks=st.booleans())
def test_a_pickled_input_gives_the_same_logits(drawn: tuple, speculates: bool, chunks: bool) -> None:  # type: ignore[type-arg]
    """As another process would run it, with the same cache."""
    step, runner = a_step(*drawn, speculates, chunks)
    again = pickle.loads(pickle.dumps(step))
    assert isinstance(again, ForwardInput)
    assert all(type(getattr(again, field.name)) is np.ndarray for field in fields(ForwardInput))
    want = runner.forward(step)
    assert len(want) == len(step.wanted) and torch.equal(runner.forward(again), want)
    other = ModelRunner(TARGET, runner.kv.blocks, runner.kv.block_size)
    other.kv.data.copy_(runner.kv.data)
    assert torch.equal(other.forward(again), want)


def a_step(
    trees: TokenTrees, tokens: NDArray[np.int64], speculates: bool, chunks: bool
) -> tuple[ForwardInput, ModelRunner]:
    """Decoding requests, whose trees are verified or not, and perhaps two chunks, of which the second ends its prefill."""
    batch, sequences, runner = Batch(), Sequences(CONFIG.context, 200, 4), ModelRunner(TARGET, 200, 4)
    for i in range(len(tokens)):
        request = ask(i, [i, 3, 5 * i][: 1 + i], 60)
        runner.forward(compose_step(sequences, StepPlan(prefill=[Chunk(request, 0, request.prompt_tokens)]), batch, None))
        sequences.append(sequences.rows([request]), np.array([[7]]), np.array([1]))
        request.produced, request.first_token_s = 1, 0.0
        batch.add(request)
    late = [Chunk(make_request(77, prompt=30), 0, 20), Chunk(make_request(78, prompt=9), 0, 9)] if chunks else []
    drafts = Drafts(trees.candidates.probability, trees.candidates.parent, tokens, {})
    nodes = lay_out(TokenTrees(drafts, trees.selected), tokens) if speculates else None
    step = compose_step(sequences, StepPlan(prefill=late, decode=True), batch, nodes)
    assert len(step.wanted) == (int(nodes.counts.sum()) if nodes else len(batch)) + len(late[1:])
    return step, runner
