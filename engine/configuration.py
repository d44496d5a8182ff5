"""Frozen dataclasses from TOML tables. Unknown keys are errors."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. InputError when it is not TOML."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: {error}; correct the file.") from error


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of a dataclass whose field names are the keys of ``table``; lists become tuples."""
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}; {nearest(key, known)}")
    try:
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}.") from error


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence about a mistyped name: the known names closest to ``word``, or all of them."""
    close = get_close_matches(word, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(known))}."


def merge_policies(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of parameters by policy name as one: they merge key by key at every depth, and later layers go first."""
    return reduce(_merged, layers, {})


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if nested else value
    return merged
