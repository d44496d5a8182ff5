"""A CSV file written by a person, as text columns; every fault is one sentence with file and line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from engine.errors import InputError
from exps.workload.checks import Rule, first_violation

GZIP_MAGIC = b"\x1f\x8b"
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
SHOWN = 12


@dataclass(frozen=True)
class Columns:
    """The columns a CSV must and may have; ``numbers`` of them are read as float64, all others as text.

    Each group of ``together`` is there whole or not at all.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()

    def describe(self) -> str:
        text = ", ".join(self.required)
        return f"{text} (optional: {', '.join(self.optional)})" if self.optional else text


def read_csv(path: Path, columns: Columns, rules: Sequence[Rule]) -> pl.DataFrame:
    """Read ``path`` (plain or gzip) and hold its rows against ``rules``.

    Names and text are stripped, an empty field is null, and a number that does not parse is NaN. Raises InputError with the
    1-based line (the header is line 1) of the first fault. Rules on absent optional columns are left out.
    """
    data = read_bytes(path).rstrip()
    text = _parse(path, data, columns)
    _check_header(path, [name.strip() for name in text.columns], columns)
    text = text.rename(str.strip)
    if text.height == 0:
        raise InputError(f"{path}, line 2: no requests follow the header; add one row a request.")
    text = text.with_columns(pl.all().str.strip_chars().replace("", None))
    frame = text.with_columns(_number(name) for name in columns.numbers if name in text.columns)
    present = [rule for rule in rules if rule.column in frame.columns]
    found = first_violation(frame, present)
    if found:
        rule, value = found.rule, text[found.rule.column][found.row]
        shown = "empty" if value is None else repr(value)
        raise InputError(
            f"{path}, line {_line_of(data, found.row)}: {rule.column} is {shown}; it must be {rule.expected}."
        )
    return frame


def _number(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(pl.col(name).is_not_null() & value.is_null()).then(float("nan")).otherwise(value).alias(name)


def read_bytes(path: Path) -> bytes:
    """The content of ``path``, unpacked where it is gzip; InputError where it cannot be read."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of a trace file.") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); give the path of a readable trace file.") from None


def _parse(path: Path, data: bytes, columns: Columns) -> pl.DataFrame:
    if not data:
        raise InputError(f"{path}, line 1: the file is empty; the first line must name {columns.describe()}.")
    if data.startswith((b"{", b"[")):
        raise InputError(f"{path}, line 1: this is JSON; write a CSV whose first line names {columns.describe()}.")
    try:
        frame = pl.read_csv(io.BytesIO(data), infer_schema=False)
        if twice := next((name for name in frame.columns if name.endswith("_duplicated_0")), None):
            raise InputError(f"{path}, line 1: the column {twice.removesuffix('_duplicated_0')!r} is there twice; keep one.")
        return frame
    except pl.exceptions.PolarsError:
        raise InputError(_why_not_csv(path, data)) from None


def _why_not_csv(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return f"{path}, line {line}: the text is not UTF-8; save the file as UTF-8 CSV."
    width = 0
    rows = csv.reader(io.StringIO(text))
    for row in rows:
        width = width or len(row)
        if len(row) > width:
            return f"{path}, line {rows.line_num}: {len(row)} fields; the header names {width}."
    return f"{path} is not a CSV file; expected a header line and one row a request."


def _line_of(data: bytes, row: int) -> int:
    """The 1-based line on which the row (0-based, below the header) starts; a quoted field may span lines."""
    rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    for _ in range(row + 1):
        next(rows)
    return rows.line_num + 1


def _check_header(path: Path, names: Sequence[str], columns: Columns) -> None:
    missing = [name for name in columns.required if name not in names]
    if missing:
        raise InputError(f"{path}, line 1: {_why_missing(missing[0], names, columns)}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path}, line 1: column {twice} is there twice; keep one of the two.")
    unknown = [name for name in names if name not in columns.required + columns.optional]
    if unknown:
        raise InputError(f"{path}, line 1: unknown column {unknown[0]!r}; expected {columns.describe()}.")
    for group in columns.together:
        absent = [name for name in group if name not in names]
        if 0 < len(absent) < len(group):
            raise InputError(f"{path}, line 1: column {absent[0]} is missing; {', '.join(group)} come together.")


def _why_missing(name: str, names: Sequence[str], columns: Columns) -> str:
    """A required column is missing, perhaps because the fields are separated by something else than a comma."""
    for separator, called in SEPARATORS.items():
        if any(separator in text and name in map(str.strip, text.split(separator)) for text in names):
            return f"the fields are separated by {called}; separate them with commas, and write decimals with a point."
    found = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"column {name} is missing; found {found}; expected {columns.describe()}."
