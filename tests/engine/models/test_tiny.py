"""The shipped pair: what it is, and that its draft is as good as its profile says."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import torch

from engine.executors.simulated.measured import MISSED
from engine.executors.simulated.profiles import load_acceptance
from engine.models.pair import TINY, load_pair
from tests.engine.executors.native.pairs import Pair, ask, serve

CHAIN, BAR = 4, 2.5
KINDS = ("coding", "chat", "summarization")


def tokens_a_verification() -> dict[str, float]:
    """By kind, with a chain of ``CHAIN``, the bonus included."""
    acceptance = load_acceptance("tiny")
    chains = acceptance.beams[1]
    tokens = 1 + (chains.hit[:, :CHAIN] != MISSED).sum(axis=1)
    return {kind: float(tokens[chains.kind == number].mean()) for number, kind in enumerate(acceptance.kinds)}


def prompts(kind: str, count: int) -> list[str]:
    lines = gzip.decompress((TINY / "prompts.jsonl.gz").read_bytes()).splitlines()
    texts = [line["text"] for line in map(json.loads, lines) if line["kind"] == kind]
    return sorted(texts, key=len)[:count]


def test_the_shapes_are_those_promised() -> None:
    pair = load_pair("tiny")
    assert pair.draft is not None
    assert 8e6 < pair.target.config.parameters < 12e6 and 0.5e6 < pair.draft.config.parameters < 1.5e6
    assert pair.target.config.kv_heads < pair.target.config.heads
    assert sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) < 25e6


def test_every_kind_reaches_the_bar_and_kinds_differ() -> None:
    found = tokens_a_verification()
    assert set(found) == set(KINDS) and min(found.values()) >= BAR
    assert max(found.values()) - min(found.values()) > 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_the_profile_is_that_of_the_pair(kind: str) -> None:
    torch.set_num_threads(1)
    pair = load_pair("tiny")
    assert pair.draft is not None
    work = [ask(number, pair.tokenizer.encode(text), 96) for number, text in enumerate(prompts(kind, 6))]
    serve(Pair(pair.target, pair.draft), work, f"vllm-spec-{CHAIN}", pool_tokens=8000)
    tokens = sum(request.generated - 1 for request in work) / sum(request.steps for request in work)
    assert abs(tokens - tokens_a_verification()[kind]) < 1.2
    assert np.mean([len(set(request.output_ids)) for request in work]) > 5
