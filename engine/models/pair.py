"""A target, the draft model that guesses for it, and their tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from engine.catalogue import DRAFTS, MODELS
from engine.configuration import nearest
from engine.errors import InputError
from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder
from engine.models.loading import load_decoder, locate, read_config
from engine.models.split import UNSPLIT, Split
from engine.models.tokenizer import FILE, Tokenizer, load_tokenizer
from engine.models.widened import SHAPES, widen, widened_config

Load = Callable[..., Decoder]
TINY = Path(__file__).parent / "tiny"
WIDENED = [name for name in SHAPES if name not in DRAFTS.values()]


@dataclass(frozen=True)
class Pair:
    """Both models predict the same tokens, by the same ids."""

    target: Decoder
    draft: Decoder | None
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Outline:
    """What is known of a pair without its weights: the whole target's shape, and the tokenizer."""

    config: DecoderConfig
    tokenizer: Tokenizer


def load_pair(
    name: str | Path,
    draft: bool = True,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    weights: Literal["own", "widened"] = "own",
    seed: int = 0,
    split: Split = UNSPLIT,
) -> Pair:
    """The pair ``tiny``, one of ``DRAFTS`` from the hub, or a folder with target/, draft/ and tokenizer.json.

    ``widened`` gives the tiny pair in the named shapes, without a download; ``seed`` draws what the shapes have beyond it.
    A shape that has no draft comes without one. Of the target only the rank's part of ``split`` is loaded; the draft is
    whole, and on rank 0 alone.
    """
    load = partial(load_decoder, dtype=dtype, device=device)
    if weights == "widened":
        _check_widened(name)
        return _widened(_read(*_folders(TINY, draft), load, UNSPLIT), str(name), seed, split)
    return _read(*_folders(name, draft), load, split)


def load_outline(name: str | Path, weights: Literal["own", "widened"] = "own") -> Outline:
    """Of the pair that ``load_pair`` gives for the same ``name`` and ``weights``."""
    if weights == "widened":
        _check_widened(name)
        large, _, tokenizer = _outlines(*_folders(TINY, False))
        wide, _ = _shapes(str(name), draft=True)
        return Outline(widened_config(large, wide), tokenizer)
    large, small, tokenizer = _outlines(*_folders(name, True))
    return Outline(large if small is None else replace(large, vocabulary=_rows(large, small)), tokenizer)


def load_target(split: Split, device: torch.device | str, **arguments: Any) -> Decoder:
    """A rank's part of the target alone, as ``load_pair`` gives it to rank 0 for the same ``arguments``."""
    return load_pair(**arguments, split=split, device=device).target


def _check_widened(name: str | Path) -> None:
    if name not in WIDENED:
        raise InputError(f"{str(name)!r} is no pair of full-size shapes; {nearest(str(name), WIDENED)}")


def _folders(name: str | Path, draft: bool) -> tuple[Path, Path | None, Path]:
    """Of the target, of the draft where one is wanted, and of the tokenizer."""
    if name in DRAFTS:
        target = locate(MODELS[str(name)].repository)
        return target, locate(MODELS[DRAFTS[str(name)]].repository) if draft else None, target
    folder = TINY if name == "tiny" else Path(name)
    if not folder.is_dir():
        raise InputError(f"{str(name)!r} is neither a folder nor a pair of models; {nearest(str(name), ['tiny', *DRAFTS])}")
    return folder / "target", folder / "draft" if draft else None, folder


def _outlines(target: Path, draft: Path | None, words: Path) -> tuple[DecoderConfig, DecoderConfig | None, Tokenizer]:
    """Both shapes, and the tokenizer in the folder ``words``; the draft's own, where it has one, must have the same tokens."""
    large = read_config(locate(target))
    tokenizer = load_tokenizer(words, large)
    if draft is None:
        return large, None, tokenizer
    small = read_config(locate(draft))
    theirs = load_tokenizer(draft if (draft / FILE).exists() else words, small)
    if theirs.tokens != tokenizer.tokens:
        raise InputError(f"{draft} and {target} have different vocabularies; choose a draft of the target's family.")
    return large, small, tokenizer


def _read(target: Path, draft: Path | None, words: Path, load: Load, split: Split) -> Pair:
    large, small, tokenizer = _outlines(target, draft, words)
    if draft is None or small is None:
        return Pair(load(target, split=split), None, tokenizer)
    rows = _rows(large, small)
    guesser = load(draft, vocabulary=rows) if split.rank == 0 else None
    return Pair(load(target, split=split, vocabulary=rows), guesser, tokenizer)


def _rows(large: DecoderConfig, small: DecoderConfig) -> int:
    """Without padding rows that one vocabulary has beyond the other, as Qwen2.5-32B has beyond Qwen2.5-0.5B."""
    return min(large.vocabulary, small.vocabulary)


def _shapes(name: str, draft: bool) -> tuple[DecoderConfig, DecoderConfig | None]:
    """The full-size shapes of a target and, where one is wanted and known, of its draft, with as many rows."""
    large, small = SHAPES[name], SHAPES.get(DRAFTS.get(name, "")) if draft else None
    if small is None:
        return large, None
    rows = _rows(large, small)
    return replace(large, vocabulary=rows), replace(small, vocabulary=rows)


def _widened(pair: Pair, name: str, seed: int, split: Split) -> Pair:
    large, small = _shapes(name, pair.draft is not None)
    target, draft = _in_shape(pair.target, large, seed, split), None
    if pair.draft is not None and small is not None and split.rank == 0:
        draft = _in_shape(pair.draft, small, seed + 1, UNSPLIT)
    return Pair(target, draft, pair.tokenizer)


def _in_shape(decoder: Decoder, shape: DecoderConfig, seed: int, split: Split) -> Decoder:
    return Decoder(*widen(decoder.config, decoder.weights, shape, seed, split))
