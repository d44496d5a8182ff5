"""Reasons for not serving requests, one line a kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from exps.metrics.statuses import REFUSED

NUMBER = re.compile(r"\d+(?:\.\d+)?")
NUMBERED = re.compile(r"(?<=\binteraction )\d+|(?<=\brequest )\d+")
NAMING = {"\0": ("client", "client"), "\1": ("application", "app")}
NUMBERED_MARK, NUMBER_MARK = "\2", "\3"
"""The marks stand in the text of a kind for what differs: a client, an application, the number of a thing, a quantity."""

Parts = dict[str, list[str]]


def reasons_by_kind(requests: pl.DataFrame) -> list[tuple[int, str]]:
    """How many requests were refused for each kind of reason, most first: what is equal in all stands, numbers that are not
    as a range, names as how many there are.

    ``requests`` has the columns status, reason, client and app.
    """
    columns = ("reason", *(column for _, column in NAMING.values()))
    refused = requests.filter(REFUSED & pl.col("reason").is_not_null()).group_by(columns, maintain_order=True).len()
    counts: dict[str, int] = {}
    alike: dict[str, list[Parts]] = {}
    for row in refused.iter_rows(named=True):
        kind, parts = _taken_apart(row)
        counts[kind] = counts.get(kind, 0) + row["len"]
        alike.setdefault(kind, []).append(parts)
    return sorted(((counts[kind], _joined(kind, same)) for kind, same in alike.items()), key=lambda row: -row[0])


def _taken_apart(row: dict[str, Any]) -> tuple[str, Parts]:
    """The text with marks, and by mark what stood there, in order."""
    text, parts = row["reason"], {}
    for mark, (word, column) in NAMING.items():
        if row[column] is not None and f"{word} {row[column]}" in text:
            text, parts[mark] = text.replace(f"{word} {row[column]}", f"{word} {mark}", 1), [row[column]]
    for mark, pattern in ((NUMBERED_MARK, NUMBERED), (NUMBER_MARK, NUMBER)):
        parts[mark] = pattern.findall(text)
        text = pattern.sub(mark, text)
    return text, parts


def _joined(kind: str, same: Sequence[Parts]) -> str:
    shown = {mark: iter(_shown(mark, zip(*(parts[mark] for parts in same), strict=True))) for mark in same[0]}
    return re.sub("[\0-\3]", lambda match: next(shown[match[0]]), kind)


def _shown(mark: str, places: Iterable[Sequence[str]]) -> list[str]:
    return [_range(values) if mark == NUMBER_MARK else _name(values) for values in places]


def _name(values: Sequence[str]) -> str:
    several = len(set(values))
    return values[0] if several == 1 else f"(one of {several:,})"


def _range(values: Sequence[str]) -> str:
    least, most = (_grouped(value) for value in (min(values, key=float), max(values, key=float)))
    return least if least == most else f"{least} to {most}"


def _grouped(number: str) -> str:
    return f"{int(number):,}" if number.isdigit() else number
