"""Text to token ids and back, as a model's tokenizer.json says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tokenizers

from engine.errors import InputError
from engine.models.config import DecoderConfig

FILE = "tokenizer.json"


class Tokenizer:
    """Encodes with the model's own special tokens, such as a leading <s>; decodes without them."""

    def __init__(self, inner: tokenizers.Tokenizer):
        self._inner = inner
        self.tokens: dict[str, int] = inner.get_vocab(with_added_tokens=True)
        self.vocabulary = 1 + max(self.tokens.values(), default=-1)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode(text).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._inner.decode(list(ids), skip_special_tokens=True)


def load_tokenizer(folder: Path, config: DecoderConfig) -> Tokenizer:
    """The tokenizer in ``folder``. InputError when it has a token that a model of shape ``config`` has no row for."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}; name the folder of a whole model.")
    try:
        tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8")))
    except Exception as error:
        # The tokenizers library raises plain Exception.
        raise InputError(f"{path} is no tokenizer ({error}); fetch the model again.") from error
    if tokenizer.vocabulary > config.vocabulary:
        last, rows = tokenizer.vocabulary - 1, config.vocabulary
        raise InputError(f"{path} does not fit the model: it has token {last}, the model {rows} rows; use the model's own.")
    return tokenizer
