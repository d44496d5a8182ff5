"""The likeliest tokens, and what is drawn beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.executors.native.ahead import NextTokens
from engine.executors.native.choosing import choose
from engine.executors.native.sequences import Sequences
from engine.sampling import Sampling
from tests.engine.strategies import make_request


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_row_is_sound_when_its_best_is_a_number(dtype: torch.dtype) -> None:
    inf, nan = torch.inf, torch.nan
    rows = [[0, 3, 1], [-inf, -2, -inf], [0, nan, 5], [0, inf, 1], [-inf, -inf, -inf], [nan, nan, nan]]
    tokens, sound = NextTokens(torch.tensor(rows, dtype=dtype)).read()
    assert tokens[:2].tolist() == [1, 1]
    assert sound.tolist() == [True, True, False, False, False, False]


def test_no_row_gives_no_token() -> None:
    tokens, sound = NextTokens(torch.zeros(0, 8)).read()
    assert len(tokens) == len(sound) == 0


def test_greedy_rows_beside_drawn_ones_keep_their_likeliest_token() -> None:
    sequences = Sequences(context=20, blocks=9, block_size=4)
    requests = [make_request(i, prompt=3, sampling=Sampling(float(i % 2), seed=i)) for i in range(8)]
    for request in requests:
        sequences.join(request)
    rows = sequences.rows(requests)
    logits = torch.zeros(8, 50)
    logits[:, 7] = 0.1
    best, _ = NextTokens(logits).read()
    tokens = choose(requests, sequences, rows, logits, np.arange(8), best)
    assert (tokens[::2] == 7).all() and len(set(tokens[1::2].tolist())) > 2
    assert best.tolist() == [7] * 8
    assert choose(requests[::2], sequences, rows[::2], logits, np.arange(0, 8, 2), best[::2]).tolist() == [7] * 4
    again = choose(requests[::-1], sequences, rows[::-1], logits, np.arange(8), best)
    assert again[::-1].tolist() == tokens.tolist()
