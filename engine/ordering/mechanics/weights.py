"""Numbers for names, given as a mapping or as text."""

from __future__ import annotations

from collections.abc import Mapping


def numbers(given: Mapping[str, float] | str | None) -> dict[str, float]:
    """A number for each name, as in {"a": 1, "b": 2} or "a:1;b:2". ValueError for any other text."""
    if isinstance(given, str):
        pairs = [part.rsplit(":", 1) for part in given.split(";") if part]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"write {given} as name:number;name:number")
        given = {name: float(number) for name, number in pairs}
    return dict(given or {})


def shares(given: Mapping[str, float] | str | None) -> dict[str, float]:
    """The weight of each client. ValueError unless every weight is a number above 0."""
    table = numbers(given)
    for client, weight in table.items():
        if not weight > 0:
            raise ValueError(f"the weight of client {client} must be above 0, not {weight:g}")
    return table
