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
from engine.models.widened import SHAPES, widen

Load = Callable[..., Decoder]
TINY = Path(__file__).parent / "tiny"
WIDENED = [name for name in SHAPES if name not in DRAFTS.values()]


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
    split: Split = UNSPLIT,
) -> Pair:
    """The pair ``tiny``, one of ``DRAFTS`` from the hub, or a folder with target/, draft/ and tokenizer.json.

    ``widened`` gives the tiny pair in the named shapes, without a download; ``seed`` draws what the shapes have beyond it.
    A shape that has no draft comes without one. Of the target only the rank's part of ``split`` is loaded; the draft is
    whole, and on rank 0 alone.
    """
    load = partial(load_decoder, dtype=dtype, device=device)
    if weights == "widened":
        if name not in WIDENED:
            raise InputError(f"{str(name)!r} is no pair of full-size shapes; {nearest(str(name), WIDENED)}")
        return _widened(_from_folder(TINY, draft, load, UNSPLIT), str(name), seed, split)
    if name == "tiny":
        return _from_folder(TINY, draft, load, split)
    if name in DRAFTS:
        target = locate(MODELS[str(name)].repository)
        return _read(target, locate(MODELS[DRAFTS[str(name)]].repository) if draft else None, target, load, split)
    if Path(name).is_dir():
        return _from_folder(Path(name), draft, load, split)
    raise InputError(f"{str(name)!r} is neither a folder nor a pair of models; {nearest(str(name), ['tiny', *DRAFTS])}")


def load_target(split: Split, device: torch.device | str, **arguments: Any) -> Decoder:
    """A rank's part of the target alone, as ``load_pair`` gives it to rank 0 for the same ``arguments``."""
    return load_pair(**arguments, split=split, device=device).target


def _from_folder(folder: Path, draft: bool, load: Load, split: Split) -> Pair:
    return _read(folder / "target", folder / "draft" if draft else None, folder, load, split)


def _read(target: Path, draft: Path | None, words: Path, load: Load, split: Split) -> Pair:
    """``words`` is the folder of the tokenizer; the draft's own, where there is one, must have the same tokens.

    Padding rows that one vocabulary has beyond the other are left out, as Qwen2.5-32B has beyond Qwen2.5-0.5B.
    """
    large = read_config(locate(target))
    tokenizer = load_tokenizer(words, large)
    if draft is None:
        return Pair(load(target, split=split), None, tokenizer)
    small = read_config(locate(draft))
    theirs = load_tokenizer(draft if (draft / FILE).exists() else words, small)
    if theirs.tokens != tokenizer.tokens:
        raise InputError(f"{draft} and {target} have different vocabularies; choose a draft of the target's family.")
    rows = min(large.vocabulary, small.vocabulary)
    guesser = load(draft, vocabulary=rows) if split.rank == 0 else None
    return Pair(load(target, split=split, vocabulary=rows), guesser, tokenizer)


def _widened(pair: Pair, name: str, seed: int, split: Split) -> Pair:
    """Both in their shapes, the vocabulary that of the smaller one."""
    large, small = SHAPES[name], SHAPES.get(DRAFTS.get(name, ""))
    if pair.draft is None or small is None:
        return Pair(_in_shape(pair.target, large, seed, split), None, pair.tokenizer)
    rows = min(large.vocabulary, small.vocabulary)
    target = _in_shape(pair.target, replace(large, vocabulary=rows), seed, split)
    draft = _in_shape(pair.draft, replace(small, vocabulary=rows), seed + 1, UNSPLIT) if split.rank == 0 else None
    return Pair(target, draft, pair.tokenizer)


def _in_shape(decoder: Decoder, shape: DecoderConfig, seed: int, split: Split) -> Decoder:
    return Decoder(*widen(decoder.config, decoder.weights, shape, seed, split))
