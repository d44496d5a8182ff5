"""Tokens a verification: how far the target, greedy, agrees with chains of greedy draft tokens on held-out prompts."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.models.decoder import Decoder
from training.corpus import KINDS
from training.dense import generate, padded, row_hidden
from training.prompts import Prompt
from training.tokens import END_ID

CHAINS = (4, 6, 8)
BATCH = 64


def evaluate(
    target: Decoder,
    draft: Decoder,
    tokenizer: Tokenizer,
    prompts: Iterable[Prompt],
    count: int,
    answer: int = 256,
    chains: Sequence[int] = CHAINS,
) -> dict[str, Any]:
    """By kind: tokens a verification for each chain length, agreement, mean tokens an answer, over the first ``count``
    prompts of the kind that the context holds, each answered with at most ``answer`` tokens."""
    encoded = [(prompt.kind, tokenizer.encode(prompt.text).ids) for prompt in prompts]
    report: dict[str, Any] = {}
    for kind in KINDS:
        ids = [ids for name, ids in encoded if name == kind and len(ids) < target.config.context][:count]
        agreements = answer_agreements(target, draft, ids, answer)
        verified = {chain: [verifications(row, chain) for row in agreements] for chain in chains}
        tokens = sum(map(len, agreements))
        report[kind] = {
            "prompts": len(ids),
            "agreement": round(sum(map(sum, agreements)) / tokens, 4),
            "tokens_per_answer": round(tokens / len(ids), 1),
            "tokens_per_verification": {str(c): round(tokens / sum(verified[c]), 3) for c in chains},
            "median_prompt_at_chain_4": round(statistics.median(len(row) / verifications(row, 4) for row in agreements), 3),
        }
    return report


def answer_agreements(target: Decoder, draft: Decoder, prompts: list[list[int]], answer: int) -> list[list[bool]]:
    """For each prompt and each token of the target's greedy answer, whether the draft's argmax there is that token."""
    found: list[list[bool]] = []
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    for start in range(0, len(order), BATCH):
        batch = [prompts[number] for number in order[start : start + BATCH]]
        tokens, lengths = padded(batch, target.device)
        total = min(int(lengths.max()) + answer, target.config.context)
        rows = generate(target, tokens, lengths, total)
        agree = draft_agreement(draft, rows)
        for row, equal, length in zip(rows.tolist(), agree.tolist(), lengths.tolist(), strict=True):
            end = min(length + answer, total)
            if END_ID in row[length:end]:
                end = row.index(END_ID, length) + 1
            found.append(equal[length:end])
    return found


@torch.no_grad()
def draft_agreement(draft: Decoder, rows: Tensor, size: int = 16) -> Tensor:
    """Whether the draft's argmax after the tokens before it is each token of ``rows`` [rows, length]; False at the first."""
    agree = torch.zeros_like(rows, dtype=torch.bool)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        guesses = draft.logits(row_hidden(draft, block)).argmax(dim=-1).view(block.shape)
        agree[start : start + size, 1:] = guesses[:, :-1] == block[:, 1:]
    return agree


def verifications(agreement: Sequence[bool], chain: int) -> int:
    """Verifications that an answer takes. Each yields the draft tokens up to the first that differs, at most ``chain``,
    and one token of the target; a draft that agrees drafts in the very context that was agreed on."""
    position = count = 0
    while position < len(agreement):
        accepted = 0
        while accepted < chain and position + accepted < len(agreement) and agreement[position + accepted]:
            accepted += 1
        position += accepted + 1
        count += 1
    return count
