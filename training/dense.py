"""Causal attention over equal rows, a dense key-value cache, and generation of many rows at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.kernels.rotary import Rotary
from engine.models.decoder import Decoder

PREFILL_TOKENS = 2**18
# cuDNN would plan anew for every length.
BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class Causal:
    """Attention of rows of ``length`` tokens that stand one after the other and do not see each other."""

    def __init__(self, length: int):
        self.length = length

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        q, k, v = rotary.split(stacked)
        q, k, v = (x.view(-1, self.length, *x.shape[1:]).transpose(1, 2).to(v.dtype) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return mixed.transpose(1, 2).flatten(2).flatten(0, 1)


def row_hidden(decoder: Decoder, rows: Tensor) -> Tensor:
    """Hidden states [rows * length, hidden] of ``rows`` [rows, length], each from position 0."""
    count, length = rows.shape
    positions = torch.arange(length, device=rows.device).repeat(count)
    return decoder.hidden(rows.flatten(), positions, Causal(length))


class DenseCache:
    """Keys and values [rows, kv_heads, length, h] of each layer; ``position`` tokens of every row are there. Attention
    while a block of rows is read in, or while each row takes one more token."""

    def __init__(self, decoder: Decoder, rows: int, length: int):
        config = decoder.config
        shape = (config.layers, 2, rows, config.kv_heads, length, config.head_size)
        self._pairs = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._block = slice(0, rows)
        self.position = 0

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        q, k, v = rotary.split(stacked)
        keys, values = self._pairs[layer, :, self._block]
        rows, end = len(keys), self.position + len(q) // len(keys)
        q, k, v = (x.view(rows, -1, *x.shape[1:]).transpose(1, 2) for x in (q, k, v))
        keys[:, :, self.position : end], values[:, :, self.position : end] = k, v
        if self.position == 0:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            grouped = q.reshape(rows, k.shape[1], -1, q.shape[-1])
            with sdpa_kernel(BACKENDS):
                mixed = F.scaled_dot_product_attention(grouped, keys[:, :, :end], values[:, :, :end]).reshape(q.shape)
        return mixed.transpose(1, 2).flatten(2).flatten(0, 1)

    def read_in(self, decoder: Decoder, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after ``tokens`` [rows, n], the first of every row."""
        count, length = tokens.shape
        size = max(1, PREFILL_TOKENS // length)
        logits = []
        for start in range(0, count, size):
            self._block = slice(start, min(start + size, count))
            block = tokens[self._block]
            positions = torch.arange(length, device=tokens.device).repeat(len(block))
            hidden = decoder.hidden(block.flatten(), positions, self)
            logits.append(decoder.logits(hidden[length - 1 :: length]))
        self._block, self.position = slice(0, count), length
        return torch.cat(logits)

    def step(self, decoder: Decoder, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after one more token of every row."""
        positions = torch.full_like(tokens, self.position)
        logits = decoder.logits(decoder.hidden(tokens, positions, self))
        self.position += 1
        return logits


@torch.no_grad()
def generate(
    decoder: Decoder,
    prompts: Tensor,
    lengths: Tensor,
    total: int,
    temperatures: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``prompts`` [rows, n], of which each row gives its first ``lengths``, continued to ``total`` tokens [rows, total].

    Greedy, or with Gumbel noise from ``generator`` (on the decoder's device) at each row's temperature, where 0 is greedy."""
    rows, given = prompts.shape
    tokens = torch.zeros(rows, total, dtype=torch.long, device=prompts.device)
    tokens[:, :given] = prompts
    cache = DenseCache(decoder, rows, total)
    shortest = int(lengths.min())
    logits = cache.read_in(decoder, tokens[:, :shortest])
    for position in range(shortest, total):
        if temperatures is not None:
            noise = torch.empty_like(logits, dtype=torch.float32).exponential_(generator=generator).clamp_min(1e-20)
            logits = logits - temperatures[:, None] * noise.log()
        tokens[:, position] = torch.where(position < lengths, tokens[:, position], logits.argmax(dim=-1))
        if position + 1 < total:
            logits = cache.step(decoder, tokens[:, position])
    return tokens


def padded(prompts: list[list[int]], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Prompts in one tensor [rows, longest], and their lengths [rows]."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    tokens = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.long)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    return tokens.to(device), lengths.to(device)
