"""Reasons for not serving requests, one line a kind."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

NUMBER = re.compile(r"\d+(?:\.\d+)?")
NAMED = re.compile(r"\b(client|application|interaction|request) (\S+?)(?=[,;:]? |[,;:]?$)")


def reasons_by_kind(requests: pl.DataFrame) -> list[tuple[int, str]]:
    """How many requests were refused for each kind of reason, most first: what is equal in all stands, numbers that are not
    as a range, names as how many there are."""
    refused = requests.filter(pl.col("status").is_in(("rejected", "aborted")) & pl.col("reason").is_not_null())
    kinds: dict[str, list[tuple[str, int]]] = {}
    for reason, count in refused["reason"].value_counts(sort=True).iter_rows():
        kinds.setdefault(NUMBER.sub("#", NAMED.sub(r"\1 @", reason)), []).append((reason, count))
    found = [(sum(count for _, count in same), _joined(kind, [reason for reason, _ in same])) for kind, same in kinds.items()]
    return sorted(found, key=lambda row: -row[0])


def _joined(kind: str, reasons: Sequence[str]) -> str:
    names = zip(*([match[2] for match in NAMED.finditer(reason)] for reason in reasons), strict=True)
    numbers = zip(*(NUMBER.findall(NAMED.sub(r"\1 @", reason)) for reason in reasons), strict=True)
    for same in names:
        kind = kind.replace("@", same[0] if len(set(same)) == 1 else f"(one of {len(set(same)):,})", 1)
    for values in numbers:
        kind = kind.replace("#", _range(values), 1)
    return kind


def _range(values: Sequence[str]) -> str:
    least, most = min(values, key=float), max(values, key=float)
    return least if least == most else f"{least} to {most}"
