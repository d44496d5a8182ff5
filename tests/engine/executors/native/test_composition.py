"""One forward over chunks, decodes and uneven trees against dense forwards of every path."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.executors.native import composition
from engine.executors.native.composition import Part, known_tokens, places_in, run
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import lay_out
from engine.kernels.attention import PagedAttention
from engine.kernels.paged_kv import PagedKV
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
        self.kv = PagedKV(CONFIG, 200, BLOCK, torch.float32, torch.device("cpu"))
        requests = [make_request(i, prompt=length) for i, length in enumerate(lengths)]
        for request in requests:
            self.sequences.join(request)
        self.rows = self.sequences.rows(requests)
        self.prompts = [list(request.prompt_ids or ()) for request in requests]
        self.sequences.reserve(self.rows, np.array(lengths) + 40)

    @torch.inference_mode()
    def logits(self, parts: Sequence[Part]) -> torch.Tensor:
        return TARGET.logits(run(TARGET, self.kv, self.sequences, parts, "reference"))

    def chunk(self, first: Sequence[int], counts: Sequence[int], of: Sequence[int]) -> Part:
        return known_tokens(self.sequences, self.rows[list(of)], np.array(first), np.array(counts))


@pytest.mark.parametrize("together", [False, True])
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5), data=st.data())
def test_prefills_in_chunks_are_one_dense_forward(lengths: list[int], data: st.DataObject, together: bool) -> None:
    """``together``: all sequences in one uneven part, else each its own part of the same forward."""
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


@pytest.mark.parametrize("gathered", [1, 4000, composition.GATHERED])
@settings(max_examples=20, deadline=None)
@given(drawn=token_trees(), data=st.data())
def test_every_node_of_uneven_trees_sees_its_own_path(
    gathered: int, drawn: tuple, data: st.DataObject  # type: ignore[type-arg]
) -> None:
    """``gathered``: each sequence attends alone, some together, or all."""
    with patch.object(composition, "GATHERED", gathered):
        check_trees(*drawn, data)


def check_trees(trees: TokenTrees, tokens: Ints, data: st.DataObject) -> None:
    lengths = [data.draw(st.integers(2, 25)) for _ in tokens]
    cache = Cache(lengths)
    base = np.array(lengths) - 1
    for i, count in enumerate(base.tolist()):
        cache.logits([cache.chunk([0], [count], [i])])
    nodes = lay_out(trees, tokens)
    roots = [prompt[-1] for prompt in cache.prompts]
    row, depth = np.split(np.stack([[(i, 0) for i in range(len(roots))]]).reshape(-1, 2), 2, axis=1)
    order = np.argsort(np.concatenate([row.ravel(), nodes.row]), kind="stable")
    said = np.concatenate([roots, nodes.token])[order]
    below = np.concatenate([depth.ravel(), nodes.depth])[order]
    part = Part(cache.rows, base, nodes.counts, said, np.repeat(base, nodes.counts) + below, nodes.seen())
    late = make_request(77, prompt=9)
    cache.sequences.join(late)
    late_rows = cache.sequences.rows([late])
    cache.sequences.reserve(late_rows, np.array([9]))
    chunk = known_tokens(cache.sequences, late_rows, np.array([0]), np.array([9]))
    *got, prefill = cache.logits([part, chunk]).split([*nodes.counts.tolist(), 9])
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
    cache = Cache([3])
    with pytest.raises(InputError, match="unknown attention kernel 'magic'; choose one of reference"):
        PagedAttention(cache.kv, cache.kv.index(np.array([4])), [], "magic")
