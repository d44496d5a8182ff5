"""The forwards of a step, built on the host: which tokens of which sequences, where they are kept, and what they see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.batch import Batch
from engine.executors.native.forward_input import ForwardInput, join
from engine.executors.native.sequences import Sequences
from engine.executors.native.trees import TreeRows
from engine.plan import Chunk, StepPlan

Ints = NDArray[np.int64]


def compose_step(sequences: Sequences, plan: StepPlan, batch: Batch, nodes: TreeRows | None) -> ForwardInput:
    """The target's whole step: what decodes or is verified, of which all logits are wanted, then the chunks."""
    if not (plan.decode and batch.requests):
        return prefilling(sequences, plan.prefill)
    rows, context_lens = sequences.rows(batch.requests), batch.context.copy()
    if nodes is None:
        step = decoding(sequences, rows, context_lens)
    else:
        step = verifying(sequences, rows, context_lens, nodes)
    return join(step, prefilling(sequences, plan.prefill)) if plan.prefill else step


def decoding(sequences: Sequences, rows: Ints, context_lens: Ints) -> ForwardInput:
    """The last token of each sequence, its root."""
    tokens = sequences.tokens[rows, context_lens]
    return compose(sequences, rows, context_lens, np.ones_like(rows), tokens, context_lens, np.arange(len(rows)))


def verifying(sequences: Sequences, rows: Ints, context_lens: Ints, nodes: TreeRows) -> ForwardInput:
    """The root of each sequence with the selected draft tokens below it."""
    begin = np.cumsum(nodes.counts) - nodes.counts
    tokens, depth = np.zeros((2, nodes.counts.sum()), np.int64)
    tokens[begin] = sequences.tokens[rows, context_lens]
    drafted = begin[nodes.row] + nodes.place
    tokens[drafted], depth[drafted] = nodes.token, nodes.depth
    positions = np.repeat(context_lens, nodes.counts) + depth
    wanted = np.arange(len(tokens))
    return compose(
        sequences, rows, context_lens, nodes.counts, tokens, positions, wanted, nodes.counts, nodes.ancestors()
    )


def prefilling(sequences: Sequences, chunks: Sequence[Chunk]) -> ForwardInput:
    """The chunks of some prefills; the logits that are wanted are those after the chunks that end theirs."""
    for chunk in chunks:
        if chunk.request not in sequences:
            sequences.join(chunk.request)
    rows = sequences.rows([chunk.request for chunk in chunks])
    done, counts = np.array([(chunk.done, chunk.tokens) for chunk in chunks], np.int64).T
    ends = [ends_prefill(chunk) for chunk in chunks]
    return known_tokens(sequences, rows, done, counts, np.cumsum(counts)[ends] - 1)


def ends_prefill(chunk: Chunk) -> bool:
    """Whether a first token follows this chunk."""
    return chunk.done + chunk.tokens == chunk.request.prefill_tokens


def known_tokens(sequences: Sequences, rows: Ints, context_lens: Ints, query_lens: Ints, wanted: Ints) -> ForwardInput:
    """Tokens that the sequences have already: a prefill, or what the draft has not seen yet."""
    positions = np.repeat(context_lens, query_lens) + places_in(query_lens)
    tokens = sequences.tokens[np.repeat(rows, query_lens), positions]
    return compose(sequences, rows, context_lens, query_lens, tokens, positions, wanted)


def looking_ahead(sequences: Sequences, rows: Ints, roots: Ints, layer: int, tokens: Ints, mask: Ints) -> ForwardInput:
    """Layer ``layer`` of a draft, ``tokens`` [b, w], in the cache after the root at ``roots`` and the layers above it.

    ``mask`` [b, w, words]: which nodes of the tree, whose root is not one of them, each token sees.
    """
    n, width = tokens.shape
    context_lens, query_lens = roots + 1 + (layer - 1) * width, np.full(n, width)
    positions, wanted = np.repeat(roots + layer, width), np.arange(n * width)
    tree = (None, None) if width == 1 else (query_lens * layer, mask.reshape(n * width, -1))
    return compose(sequences, rows, context_lens, query_lens, tokens.ravel(), positions, wanted, *tree)


def compose(
    sequences: Sequences, rows: Ints, context_lens: Ints, query_lens: Ints, tokens: Ints, positions: Ints, wanted: Ints,
    tree_lens: Ints | None = None, tree_mask: Ints | None = None,
) -> ForwardInput:
    """New tokens of sequences ``rows``, with places for them in the cache."""
    seq_lens = context_lens + query_lens
    sequences.reserve(rows, seq_lens)
    if len(tokens) == len(rows):
        slots = sequences.slots(rows, context_lens)
    else:
        slots = sequences.slots(np.repeat(rows, query_lens), np.repeat(context_lens, query_lens) + places_in(query_lens))
    tables = sequences.tables(rows, int(seq_lens.max()))
    if tree_lens is None or tree_mask is None:
        tree_lens, tree_mask = np.zeros_like(rows), np.zeros((len(tokens), 0), np.int64)
    return ForwardInput(tokens, positions, slots, tables, context_lens, query_lens, tree_lens, tree_mask, wanted)


def places_in(counts: Ints) -> Ints:
    """0 to counts[i] - 1 for each i, one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)
