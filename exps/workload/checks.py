"""Vectorised checks of columns that a person wrote: the first bad row, and what was expected there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from engine.configuration import nearest
from engine.errors import InputError

MAX_TOKENS = 10**9
FEW_CLIENTS = 40


@dataclass(frozen=True)
class Rule:
    """``ok`` is a boolean expression over the frame (null counts as false); ``expected`` completes "it must be ..."."""

    column: str
    ok: pl.Expr
    expected: str


@dataclass(frozen=True)
class Violation:
    """The first row (0-based) at which a rule does not hold."""

    row: int
    rule: Rule


def whole_tokens(column: str) -> Rule:
    """A length: a whole number from 1 to ``MAX_TOKENS``."""
    value = pl.col(column)
    return Rule(column, value.is_between(1, MAX_TOKENS) & (value == value.floor()), f"a whole number from 1 to {MAX_TOKENS:,}")


def positive(column: str) -> pl.Expr:
    """A finite number above 0."""
    return pl.col(column).is_finite() & (pl.col(column) > 0)


def or_empty(column: str, ok: pl.Expr) -> pl.Expr:
    """What holds where the optional field was filled in."""
    return pl.col(column).is_null() | ok


def arrival(column: str) -> tuple[Rule, Rule]:
    """A finite time of at least 0, and no time before the row above."""
    value = pl.col(column)
    return (
        Rule(column, value.is_finite() & (value >= 0), "a finite number of at least 0"),
        Rule(column, (value.diff() >= 0).fill_null(True), "no earlier than in the row above"),
    )


def first_violation(frame: pl.DataFrame, rules: Sequence[Rule]) -> Violation | None:
    """The earliest row that breaks a rule, and of its broken rules the first; None when all hold."""
    if frame.height == 0:
        return None
    firsts = frame.select(
        pl.arg_where(~rule.ok.fill_null(False)).first().alias(str(i)) for i, rule in enumerate(rules)
    ).row(0)
    broken = [Violation(row, rule) for row, rule in zip(firsts, rules, strict=True) if row is not None]
    return min(broken, key=lambda violation: violation.row) if broken else None


def check_clients(timetable: pl.DataFrame, named: Iterable[str], where: str) -> None:
    """InputError, which begins with ``where``, for the first of ``named`` that sends no request."""
    clients = timetable["client"].unique().sort().to_list()
    for name in named:
        if name not in clients:
            known = nearest(name, clients) if len(clients) <= FEW_CLIENTS else "take a name from its column client."
            raise InputError(f"{where}: the trace has no client {name!r}; {known}")
