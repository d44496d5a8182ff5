"""AdaServe's emission files: the artifact's JSON, or the same columns as CSV.

An emission file says when a request arrives, how long its prompt is, and its SLO as ``slo_ratio``: a positive multiple
of the model's baseline latency, or minus the milliseconds. Prompts' text is not read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.workload.adaserve_loads import Load
from exps.workload.checks import Rule, arrival, first_violation, whole_tokens
from exps.workload.csv_file import Columns, read_bytes, read_csv

ARTIFACT = "AdaServe-Artifact-Evaluation"
NO_SLO_RATIO = 999.0
LARGEST = 1e15

JSON_COLUMNS = {
    "emission_time_ms": "emission_time_ms",
    "input_length": "input_tokens",
    "output_length": "output_tokens",
    "slo_ratio": "slo_ratio",
}
CSV_COLUMNS = tuple(JSON_COLUMNS.values())


def find_emission(traces_dir: Path, load: Load) -> Path:
    """The emission file of a load below ``traces_dir``: a download of the artifact, its parts, or a folder of CSVs.

    Raises InputError that names the patterns looked for.
    """
    folder, name = load.folder, load.file
    json_name, csv_name = f"emission_{name}.json", f"{folder.replace(',', '_')}_{name}.csv"
    json_folders = (Path(), Path(folder), Path("exps") / folder, Path(ARTIFACT) / "exps" / folder)
    csv_folders = (Path(), Path("adaserve"))
    candidates = [place / json_name for place in json_folders]
    candidates += [place / f"{csv_name}{suffix}" for place in csv_folders for suffix in ("", ".gz")]
    for candidate in candidates:
        if (traces_dir / candidate).is_file():
            return traces_dir / candidate
    raise InputError(
        f"No emission file {name!r} of {folder} below {traces_dir}: looked for"
        f" {json_name} there and in {', '.join(str(place) for place in json_folders[1:])}, and for {csv_name}[.gz]"
        f" there and in {csv_folders[1]}; download the artifact's with `cli.py setup --traces`."
    )


def read_emission(path: Path) -> pl.DataFrame:
    """One row a request: arrival_s f64, prompt_tokens i64, output_cap i64, slo_ratio f64.

    Raises InputError with file and line for whatever is not an emission file.
    """
    csv_form = any(suffix == ".csv" for suffix in path.suffixes[-2:])
    frame = _read_csv_form(path) if csv_form else _read_json_form(path)
    return frame.select(
        arrival_s=pl.col("emission_time_ms") / 1000,
        prompt_tokens=pl.col("input_tokens").cast(pl.Int64),
        output_cap=pl.col("output_tokens").cast(pl.Int64),
        slo_ratio=pl.col("slo_ratio"),
    )


def _rules() -> tuple[Rule, ...]:
    ratio = pl.col("slo_ratio")
    return (
        *arrival("emission_time_ms"),
        whole_tokens("input_tokens"),
        whole_tokens("output_tokens"),
        Rule(
            "slo_ratio",
            ratio.is_finite() & (ratio != 0) & (ratio <= NO_SLO_RATIO),
            "a multiple of the baseline latency above 0, or minus the milliseconds",
        ),
    )


def _read_csv_form(path: Path) -> pl.DataFrame:
    return read_csv(path, Columns(required=CSV_COLUMNS, numbers=CSV_COLUMNS), _rules())


def _read_json_form(path: Path) -> pl.DataFrame:
    text, entries = _parse(path)
    for row, entry in enumerate(entries):
        missing = [name for name in JSON_COLUMNS if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise InputError(f"{path}, line {_line_of(text, row)}: request {row + 1} has no {missing[0]}; {_form()}.")
    frame = pl.DataFrame(
        {column: [_number(entry[name]) for entry in entries] for name, column in JSON_COLUMNS.items()},
        schema={column: pl.Float64 for column in CSV_COLUMNS},
    )
    found = first_violation(frame, _rules())
    if found:
        name = next(name for name, column in JSON_COLUMNS.items() if column == found.rule.column)
        raise InputError(
            f"{path}, line {_line_of(text, found.row)}: {name} of request {found.row + 1} is"
            f" {json.dumps(entries[found.row][name])}; it must be {found.rule.expected}."
        )
    return frame


def _parse(path: Path) -> tuple[str, list[Any]]:
    try:
        text = read_bytes(path).decode("utf-8")
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg}); {_form()}.") from None
    except (UnicodeDecodeError, RecursionError) as error:
        fault = "the text is not UTF-8" if isinstance(error, UnicodeDecodeError) else "the JSON is nested too deeply"
        raise InputError(f"{path}: {fault}; {_form()}.") from None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}, line 1: no requests; {_form()}.")
    return text, entries


def _form() -> str:
    return f"expected a JSON array of objects with {', '.join(JSON_COLUMNS)}"


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and abs(value) < LARGEST else math.nan


def _line_of(text: str, row: int) -> int:
    """The 1-based line on which the array's entry ``row`` (0-based) starts."""
    decoder, end = json.JSONDecoder(), text.index("[") + 1
    for _ in range(row + 1):
        start = end
        while text[start].isspace() or text[start] == ",":
            start += 1
        _, end = decoder.raw_decode(text, start)
    return text.count("\n", 0, start) + 1
