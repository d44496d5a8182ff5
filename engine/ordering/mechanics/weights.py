"""Numbers for names, given as a mapping or as text, and weights of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite


def numbers(given: Mapping[str, float] | str | None) -> dict[str, float]:
    """A number for each name, as in {"a": 1, "b": 2} or "a:1;b:2". ValueError for any other text or value."""
    if isinstance(given, str):
        return _parsed(given)
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"write {given} as name:number;name:number")
    return dict(given or {})


def shares(given: Mapping[str, float] | str | None) -> dict[str, float]:
    """The weight of each client. ValueError unless every weight is a number above 0."""
    table = numbers(given)
    for client, weight in table.items():
        if not 0 < weight < inf:
            raise ValueError(f"the weight of client {client} must be a number above 0, not {weight:g}")
    return table


def add_exactly(*amounts: float) -> bool:
    """Whether sums of the amounts are exact in any order, as long as they stay below 10^12."""
    return all((amount * 1024).is_integer() for amount in map(float, amounts))


def check_token_weights(**weights: float) -> None:
    """ValueError unless every weight is a number of at least 0, and one of them above."""
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < inf:
            raise ValueError(f"{name} must be a number of at least 0, not {weight}")
    if not any(weights.values()):
        raise ValueError(f"one of {', '.join(weights)} must be above 0")


def _parsed(text: str) -> dict[str, float]:
    table: dict[str, float] = {}
    for part in filter(None, text.split(";")):
        name, colon, number = part.rpartition(":")
        if not (colon and name and _is_number(number)):
            raise ValueError(f"write {text} as name:number;name:number")
        if name in table:
            raise ValueError(f"{text} gives {name} two numbers")
        table[name] = float(number)
    return table


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False
