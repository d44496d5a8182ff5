"""What one forward of one model needs, as plain arrays: it can be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
WORD = 64


@dataclass(frozen=True, slots=True)
class ForwardInput:
    """t new tokens of b sequences, one sequence after another: what they are, where they are kept, and what they see.

    ``tokens`` [t] ids, ``positions`` [t] places in the text (nodes of a tree that are as deep share theirs).
    ``slot_mapping`` [t] the slots of the cache that take the new keys and values: block * block size + place.
    ``block_tables`` [b, n] the blocks of each sequence in order, padded with block 0. ``context_lens`` [b] tokens of each
    sequence that are in the cache already, ``query_lens`` [b] new ones, at least one each.
    ``tree_lens`` [b] how many of the sequence's last tokens are a tree, 0 for none. ``tree_mask`` [t, words]: where bit j is
    set the new token sees token j of its sequence's tree; no words where there is no tree.
    ``wanted`` [m] the new tokens after which logits are wanted: some of them in any order, or all in their own.

    A new token sees every token of its sequence up to itself; in a sequence that ends in a tree it sees all that is before
    the tree, and of the tree what its mask says. The first layers of a draft's tree are in the cache already.
    """

    tokens: Ints
    positions: Ints
    slot_mapping: Ints
    block_tables: Ints
    context_lens: Ints
    query_lens: Ints
    tree_lens: Ints
    tree_mask: Ints
    wanted: Ints


def see(tree_mask: Ints, tokens: Ints, nodes: Ints) -> None:
    """Let ``tokens[i]`` see node ``nodes[i]`` of its tree."""
    tree_mask[tokens, nodes // WORD] |= np.int64(1) << (nodes % WORD)


def words_for(nodes: int) -> int:
    """Words of a mask over a tree of so many nodes; the last bit stays free, so that it stands for all behind the tree."""
    return nodes // WORD + 1


def join(first: ForwardInput, second: ForwardInput) -> ForwardInput:
    """Both in one forward, the sequences of ``first`` before those of ``second``."""
    return ForwardInput(
        tokens=np.concatenate([first.tokens, second.tokens]),
        positions=np.concatenate([first.positions, second.positions]),
        slot_mapping=np.concatenate([first.slot_mapping, second.slot_mapping]),
        block_tables=_stack(first.block_tables, second.block_tables),
        context_lens=np.concatenate([first.context_lens, second.context_lens]),
        query_lens=np.concatenate([first.query_lens, second.query_lens]),
        tree_lens=np.concatenate([first.tree_lens, second.tree_lens]),
        tree_mask=_stack(first.tree_mask, second.tree_mask),
        wanted=np.concatenate([first.wanted, second.wanted + len(first.tokens)]),
    )


def _stack(above: Ints, below: Ints) -> Ints:
    """The rows of both, the narrower ones filled with 0."""
    width = max(above.shape[1], below.shape[1])
    return np.concatenate([np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (above, below)])
