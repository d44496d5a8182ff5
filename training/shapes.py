"""Shapes of the pair, and what the draft learns from."""

from __future__ import annotations

from dataclasses import replace

from engine.models.config import DecoderConfig
from training.distill import Lesson
from training.tokens import END_ID


def llama(vocabulary: int, hidden: int, layers: int, heads: int, intermediate: int, context: int = 2048) -> DecoderConfig:
    """A Llama of heads of 32 dimensions over 2 KV heads, its output tied to its embedding."""
    return DecoderConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=2,
        head_size=32,
        intermediate=intermediate,
        context=context,
        tied_embeddings=True,
        stop_ids=(END_ID,),
    )


def lessons(rows: int, context: int = 2048) -> list[Lesson]:
    """Prompts as long as the held-out ones where the context is 2048 tokens, else in proportion: ``rows`` rows for each
    length of code, half for each of pages, many for chat."""
    found = [Lesson("chat", 72, 136, 8 * rows)]
    found += [Lesson("coding", prompt, 280, rows) for prompt in (40, 72, 110, 160, 240, 380)]
    found += [Lesson("summarization", prompt, 280, rows // 2) for prompt in (140, 300, 500, 720, 1000, 1300, 1700)]
    return [replace(x, prompt=x.prompt * context // 2048, written=x.written * context // 2048) for x in found]
