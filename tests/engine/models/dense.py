"""Dense causal attention over one growing sequence, and what the model tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tokenizers
import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor

from engine.kernels.rotary import Rotary
from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder
from engine.models.weights import fresh_weights


class DenseAttention:
    """Keeps each layer's keys and values in the order in which they come; a token sees itself and what came before."""

    def __init__(self, layers: int):
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers

    def __call__(self, layer: int, stacked: Tensor, rotary: Rotary) -> Tensor:
        q, k, v = rotary.split(stacked)
        keys = self.keys[layer] = _appended(self.keys[layer], k)
        values = self.values[layer] = _appended(self.values[layer], v)
        now, total = q.shape[0], keys.shape[0]
        seen = torch.ones(now, total, dtype=torch.bool).tril(total - now)
        heads = (tensor.transpose(0, 1)[None] for tensor in (q, keys, values))
        return F.scaled_dot_product_attention(*heads, attn_mask=seen, enable_gqa=True)[0].transpose(0, 1).flatten(1)


def _appended(before: Tensor | None, now: Tensor) -> Tensor:
    return now if before is None else torch.cat([before, now])


@torch.inference_mode()
def logits(decoder: Decoder, tokens: Sequence[int]) -> Tensor:
    """Logits [t, vocabulary] of one forward over ``tokens``."""
    positions = torch.arange(len(tokens))
    return decoder.logits(decoder.hidden(torch.tensor(tokens), positions, DenseAttention(decoder.config.layers)))


@torch.inference_mode()
def greedy(decoder: Decoder, prompt: Sequence[int], steps: int) -> list[int]:
    """The ``steps`` most probable tokens after ``prompt``, one forward each."""
    attention = DenseAttention(decoder.config.layers)
    answer: list[int] = []
    tokens = list(prompt)
    for _ in range(steps):
        done = len(prompt) + len(answer) - len(tokens)
        positions = torch.arange(done, done + len(tokens))
        hidden = decoder.hidden(torch.tensor(tokens), positions, attention)
        tokens = [int(decoder.logits(hidden[-1:]).argmax())]
        answer += tokens
    return answer


def prompt(config: DecoderConfig, length: int, seed: int = 0) -> list[int]:
    return torch.randint(config.vocabulary, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def fresh(config: DecoderConfig, seed: int = 0) -> Decoder:
    """Random weights large enough that every part of the decoder moves the logits."""
    weights = fresh_weights(config, seed, scale=0.2)
    generator = torch.Generator().manual_seed(seed + 1)
    for tensor in weights.tensors():
        if tensor.dim() == 1:
            tensor += torch.randn(tensor.shape, generator=generator) * 0.1
    return Decoder(config, weights)


def write_tokenizer(folder: Path, size: int = 290, start: str = "<s>") -> Path:
    """A byte-level tokenizer whose texts begin with ``start``."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[start], initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(["the cat sat on the mat and the rat ate the malt that lay in the house"], trainer)
    inner.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=[(start, 0)])
    inner.save(str(folder / "tokenizer.json"))
    return folder
