"""One forward over chunks, decodes and uneven trees against dense forwards of every path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.executors.native.composition import known_tokens, places_in, verifying
from engine.executors.native.forward_input import ForwardInput, join
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import lay_out
from engine.kernels import reference
from engine.plan import TokenTrees
from tests.engine.executors.native.pairs import CONFIG, make_pair
from tests.engine.executors.native.trees import Ints, plain_tree, token_trees
from tests.engine.models.dense import logits
from tests.engine.strategies import make_request

TARGET = make_pair().target
BLOCK = 4


class Cache:
    """Sequences of given lengths whose first tokens are in the cache."""

    def __init__(self, lengths: Sequence[int]):
        self.sequences = Sequences(CONFIG.context, 200, BLOCK)
        self.runner = ModelRunner(TARGET, 200, BLOCK)
        requests = [make_request(i, prompt=length) for i, length in enumerate(lengths)]
        for request in requests:
            self.sequences.join(request)
        self.rows = self.sequences.rows(requests)
        self.prompts = [list(request.prompt_ids or ()) for request in requests]

    def logits(self, parts: Sequence[ForwardInput]) -> torch.Tensor:
        return self.runner.forward(reduce(join, parts))

    def chunk(self, first: Sequence[int], counts: Sequence[int], of: Sequence[int]) -> ForwardInput:
        """So many tokens of some sequences, with all their logits."""
        every = np.arange(sum(counts))
        return known_tokens(self.sequences, self.rows[list(of)], np.array(first), np.array(counts), every)


@pytest.mark.parametrize("together", [False, True])
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5), data=st.data())
def test_prefills_in_chunks_are_one_dense_forward(lengths: list[int], data: st.DataObject, together: bool) -> None:
    """``together``: all sequences composed at once, else each alone and then joined."""
    cache = Cache(lengths)
    cuts = [data.draw(st.integers(1, length)) for length in lengths]
    got: list[list[torch.Tensor]] = [[] for _ in lengths]
    for first, stop in (([0] * len(lengths), cuts), (cuts, lengths)):
        some = [i for i in range(len(lengths)) if stop[i] > first[i]]
        if not some:
            continue
        begin, counts = [first[i] for i in some], [stop[i] - first[i] for i in some]
        if together:
            parts = [cache.chunk(begin, counts, some)]
        else:
            parts = [cache.chunk([a], [b], [i]) for a, b, i in zip(begin, counts, some, strict=True)]
        for i, rows in zip(some, cache.logits(parts).split(counts), strict=True):
            got[i].append(rows)
    for prompt, rows in zip(cache.prompts, got, strict=True):
        torch.testing.assert_close(torch.cat(rows), logits(TARGET, prompt), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("gathered", [1, 4000, reference.GATHERED])
@settings(max_examples=20, deadline=None)
@given(drawn=token_trees(), data=st.data())
def test_every_node_of_uneven_trees_sees_its_own_path(
    gathered: int, drawn: tuple, data: st.DataObject  # type: ignore[type-arg]
) -> None:
    """``gathered``: each sequence attends alone, some together, or all."""
    with patch.object(reference, "GATHERED", gathered):
        check_trees(*drawn, data)


def check_trees(trees: TokenTrees, tokens: Ints, data: st.DataObject) -> None:
    lengths = [data.draw(st.integers(2, 25)) for _ in tokens]
    cache = Cache(lengths)
    base = np.array(lengths) - 1
    for i, count in enumerate(base.tolist()):
        cache.logits([cache.chunk([0], [count], [i])])
    nodes = lay_out(trees, tokens)
    late = make_request(77, prompt=9)
    cache.sequences.join(late)
    chunk = known_tokens(cache.sequences, cache.sequences.rows([late]), np.array([0]), np.array([9]), np.arange(9))
    tree = verifying(cache.sequences, cache.rows, base, nodes)
    *got, prefill = cache.logits([tree, chunk]).split([*nodes.counts.tolist(), 9])
    torch.testing.assert_close(prefill, logits(TARGET, late.prompt_ids or ()), atol=2e-4, rtol=1e-4)
    for i, prompt in enumerate(cache.prompts):
        paths = {0: prompt}
        for above, children in plain_tree(trees, tokens, i).items():
            paths.update({number: [*paths[above], token] for number, token in children})
        for number, path in paths.items():
            torch.testing.assert_close(got[i][number], logits(TARGET, path)[-1], atol=2e-4, rtol=1e-4)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_places_count_up_in_each_sequence(counts: list[int]) -> None:
    assert places_in(np.array(counts)).tolist() == [place for count in counts for place in range(count)]


def test_an_unknown_kernel_is_an_error_that_names_the_known() -> None:
    with pytest.raises(InputError, match="unknown attention kernel 'magic'; choose one of triton, flashinfer, reference"):
        ModelRunner(TARGET, 2, BLOCK, "magic")
