"""A target, the draft model that guesses for it, and their tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from engine.catalogue import DRAFTS, MODELS
from engine.configuration import nearest
from engine.errors import InputError
from engine.models.decoder import Decoder
from engine.models.loading import load_decoder, locate
from engine.models.tokenizer import FILE, Tokenizer, load_tokenizer
from engine.models.widened import SHAPES, widen

Load = Callable[[Path], Decoder]
TINY = Path(__file__).parent / "tiny"
WIDENED = [name for name in DRAFTS if name in SHAPES]


@dataclass(frozen=True)
class Pair:
    """Both models predict the same tokens, by the same ids."""

    target: Decoder
    draft: Decoder | None
    tokenizer: Tokenizer


def load_pair(
    name: str | Path,
    draft: bool = True,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    weights: Literal["own", "widened"] = "own",
    seed: int = 0,
) -> Pair:
    """The pair ``tiny``, one of ``DRAFTS`` from the hub, or a folder with target/, draft/ and tokenizer.json.

    ``widened`` gives the tiny pair in the named shapes, without a download; ``seed`` draws what the shapes have beyond it.
    """
    load = partial(load_decoder, dtype=dtype, device=device)
    if weights == "widened":
        if name not in WIDENED:
            raise InputError(f"{str(name)!r} is no pair of full-size shapes; {nearest(str(name), WIDENED)}")
        return _widened(_from_folder(TINY, draft, load), str(name), seed)
    if name == "tiny":
        return _from_folder(TINY, draft, load)
    if name in DRAFTS:
        target = locate(MODELS[str(name)].repository)
        return _read(target, locate(MODELS[DRAFTS[str(name)]].repository) if draft else None, target, load)
    if Path(name).is_dir():
        return _from_folder(Path(name), draft, load)
    raise InputError(f"{str(name)!r} is neither a folder nor a pair of models; {nearest(str(name), ['tiny', *DRAFTS])}")


def _from_folder(folder: Path, draft: bool, load: Load) -> Pair:
    return _read(folder / "target", folder / "draft" if draft else None, folder, load)


def _read(target: Path, draft: Path | None, words: Path, load: Load) -> Pair:
    """``words`` is the folder of the tokenizer; the draft's own, where there is one, must have the same tokens."""
    large = load(target)
    tokenizer = load_tokenizer(words, large.config)
    if draft is None:
        return Pair(large, None, tokenizer)
    small = load(draft)
    theirs = load_tokenizer(draft if (draft / FILE).exists() else words, small.config)
    if theirs.tokens != tokenizer.tokens:
        raise InputError(f"{draft} and {target} have different vocabularies; choose a draft of the target's family.")
    return _aligned(large, small, tokenizer)


def _widened(pair: Pair, name: str, seed: int) -> Pair:
    target = _in_shape(pair.target, name, seed)
    if pair.draft is None:
        return Pair(target, None, pair.tokenizer)
    return _aligned(target, _in_shape(pair.draft, DRAFTS[name], seed + 1), pair.tokenizer)


def _in_shape(decoder: Decoder, name: str, seed: int) -> Decoder:
    return Decoder(*widen(decoder.config, decoder.weights, SHAPES[name], seed))


def _aligned(target: Decoder, draft: Decoder, tokenizer: Tokenizer) -> Pair:
    """Cuts the padding rows that one vocabulary has beyond the other, as Qwen2.5-32B has beyond Qwen2.5-0.5B."""
    rows = min(target.config.vocabulary, draft.config.vocabulary)
    return Pair(_cut(target, rows), _cut(draft, rows), tokenizer)


def _cut(decoder: Decoder, rows: int) -> Decoder:
    weights = decoder.weights
    if decoder.config.vocabulary == rows:
        return decoder
    embedding = weights.embedding[:rows]
    head = embedding if weights.head is weights.embedding else weights.head[:rows]
    masked = None if weights.masked is None else weights.masked[:rows]
    cut = replace(weights, embedding=embedding, head=head, masked=masked)
    return Decoder(replace(decoder.config, vocabulary=rows), cut)
