"""Held-out prompts of each kind, with the lengths of the workloads that the kinds are named after."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from training.corpus import KINDS, Document

LENGTHS = {"coding": (39, 118, 392), "chat": (5, 22, 89), "summarization": (114, 700, 1827)}
SPREAD = 0.6
DEFINITION = re.compile(r"^(?=(?:class|def|async def) )", re.MULTILINE)
PARAGRAPH = re.compile(r"\n\n(?=[A-Z])")


@dataclass(frozen=True)
class Prompt:
    """A held-out prompt. ``source`` names the package and the file."""

    kind: str
    text: str
    source: str


def make_prompts(documents: list[Document], tokenizer: Tokenizer, count: int, seed: int) -> list[Prompt]:
    """``count`` prompts of each kind from held-out documents, at most a few of each file."""
    prompts: list[Prompt] = []
    for number, kind in enumerate(KINDS):
        draw = random.Random(1000 * seed + number)
        held = [document for document in documents if document.kind == kind and document.held_out]
        draw.shuffle(held)
        found: list[Prompt] = []
        seen: set[str] = set()
        for _ in range(20):
            for document in held:
                text = _cut(document, tokenizer, draw) if len(found) < count else ""
                if text and text not in seen:
                    seen.add(text)
                    found.append(Prompt(kind, text, f"{document.source}/{document.path}"))
        prompts += found
    return prompts


def _cut(document: Document, tokenizer: Tokenizer, draw: random.Random) -> str:
    """A prompt from ``document``, or nothing where its length does not fit the kind."""
    low, median, high = LENGTHS[document.kind]
    if document.kind == "chat":
        text = document.text[: document.text.index("\nAnswer:") + len("\nAnswer:")]
        return text if low <= len(tokenizer.encode(text).ids) <= high else ""
    length = min(high, max(low, round(draw.lognormvariate(0, SPREAD) * median)))
    pattern = DEFINITION if document.kind == "coding" else PARAGRAPH
    begins = [match.end() for match in pattern.finditer(document.text)] or [0]
    begin = draw.choice(begins)
    encoding = tokenizer.encode(document.text[begin : begin + 12 * length])
    if len(encoding.ids) < length + 64:
        return ""
    text = document.text[begin : begin + encoding.offsets[length - 1][1]]
    lines = text.rsplit("\n", 1)[0] + "\n"
    return lines if len(tokenizer.encode(lines).ids) >= low else ""


def write_prompts(path: Path, prompts: list[Prompt]) -> None:
    lines = "".join(json.dumps(vars(prompt)) + "\n" for prompt in prompts)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read_prompts(path: Path) -> Iterator[Prompt]:
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        yield Prompt(**json.loads(line))
