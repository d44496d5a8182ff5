"""FairServe's workloads: the trace from production, requests drawn with its statistics, and the overload suites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exps.workload.checks import Rule, arrival, whole_tokens
from exps.workload.csv_file import Columns, read_csv
from exps.workload.timetable import EXPECTED, timetable

APP_LIMIT = 2000
SERVICE_S = 400.0
LARGEST = 10**15
COLUMNS = Columns(
    required=(
        "arrival_s", "user", "app", "interaction", "llmcalls", "llmcalls_made", "prompt_tokens", "output_tokens", "sys_tokens",
        "expected_input", "expected_system", "expected_output",
    ),
    numbers=(
        "arrival_s", "interaction", "llmcalls", "llmcalls_made", "prompt_tokens", "output_tokens", "sys_tokens",
        "expected_input", "expected_system", "expected_output",
    ),
)


def production_timetable(path: Path, app_limit: int = APP_LIMIT, over_s: float | None = None) -> pl.DataFrame:
    """The trace of the artifact as a timetable: one row a request, in the columns of ``COLUMNS``, plain or gzip.

    Users become "client-N" and applications "app-N", each with ``app_limit`` requests a minute. Requests are sent when
    the trace says (timetable ``burst``), or in its order and equally far apart over ``over_s`` seconds (``paced``).
    Raises InputError with file and line for whatever is not such a trace, also for two rows that are the same call of a
    user's interaction.
    """
    trace = read_csv(path, COLUMNS, _rules())
    columns = {
        "arrival_s": trace["arrival_s"],
        "client": "client-" + trace["user"],
        "prompt_tokens": trace["prompt_tokens"],
        "output_tokens": trace["output_tokens"],
        "app": "app-" + trace["app"],
        "interaction": trace["interaction"],
        "call": trace["llmcalls_made"],
        "calls": trace["llmcalls"],
        "system_tokens": trace["sys_tokens"],
        "app_limit": [app_limit] * trace.height,
    }
    frame = timetable({**columns, **{name: trace[name] for name in EXPECTED}})
    return frame if over_s is None else paced(frame, over_s)


def paced(frame: pl.DataFrame, over_s: float = SERVICE_S) -> pl.DataFrame:
    """The same requests in the same order, equally far apart over ``over_s`` seconds."""
    return frame.with_columns(arrival_s=pl.int_range(pl.len()).cast(pl.Float64) * (over_s / frame.height))


def _rules() -> tuple[Rule, ...]:
    made, calls = pl.col("llmcalls_made"), pl.col("llmcalls")
    held = pl.col("sys_tokens").is_between(0, pl.col("prompt_tokens"))
    one_of = made.is_between(1, calls) & _whole("llmcalls_made")
    return (
        *arrival("arrival_s"),
        *(Rule(name, pl.col(name).is_not_null(), "a name") for name in ("user", "app")),
        Rule(
            "interaction", _whole("interaction") & pl.col("interaction").is_between(0, LARGEST), "a whole number of at least 0"
        ),
        *(whole_tokens(name) for name in ("llmcalls", "prompt_tokens", "output_tokens")),
        Rule("llmcalls_made", one_of, "a whole number from 1 to llmcalls"),
        Rule(
            "llmcalls_made",
            pl.struct("user", "interaction", "llmcalls_made").is_first_distinct(),
            "a call of the user's interaction that is in no row above",
        ),
        Rule("sys_tokens", held & _whole("sys_tokens"), "a whole number from 0 to prompt_tokens"),
        *(Rule(name, pl.col(name).is_finite() & (pl.col(name) > 0), "a number above 0") for name in EXPECTED),
    )


def _whole(column: str) -> pl.Expr:
    return pl.col(column) == pl.col(column).floor()


@dataclass(frozen=True)
class Application:
    """An application whose calls all look alike; lengths in tokens, ``expected`` for input, system prompt and output."""

    name: str
    prompt_tokens: int
    output_tokens: int
    system_tokens: int
    expected: tuple[int, int, int]
    calls: int


SYNTHETIC = (
    Application("app-1", 200, 100, 100, (200, 200, 200), calls=4),
    Application("app-2", 50, 50, 50, (50, 50, 50), calls=1),
)
UNIFORM = (
    Application("app-1", 256, 256, 10, (50, 100, 258), calls=3),
    Application("app-2", 256, 256, 16, (580, 2000, 258), calls=3),
)


def overload_timetable(
    rates: Sequence[float] = (3.0, 3.0),
    applications: Sequence[Application] = SYNTHETIC,
    requests: int | None = None,
    duration_s: float = 60.0,
    app_limit: int = 200,
    seed: int = 0,
) -> pl.DataFrame:
    """Suite ``overload``: "client-1", "client-2", ... at constant ``rates`` a second, each with one application, in turn.

    Each sends ``requests``, or else as many as come in ``duration_s``, the first at an offset drawn uniformly from one
    gap. ``SYNTHETIC`` is the artifact's trace of two applications (1,000 requests each), ``UNIFORM`` that of its uniform mode.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for number, rate in enumerate(rates):
        count = floor(round(rate * duration_s, 6)) if requests is None else requests
        arrival_s = (rng.random() + np.arange(count, dtype=np.float64)) / rate
        parts.append(_calls(f"client-{number + 1}", applications[number % len(applications)], arrival_s))
    return timetable({**pl.concat(parts).to_dict(), "app_limit": [app_limit] * sum(part.height for part in parts)})


def _calls(client: str, app: Application, arrival_s: NDArray[np.floating]) -> pl.DataFrame:
    """One call after the other, ``app.calls`` to an interaction."""
    place = np.arange(arrival_s.size)
    constant = {
        "client": client, "app": app.name, "prompt_tokens": app.prompt_tokens, "output_tokens": app.output_tokens,
        "system_tokens": app.system_tokens, "calls": app.calls, "expected_input": app.expected[0],
        "expected_system": app.expected[1], "expected_output": app.expected[2],
    }
    frame = pl.DataFrame({"arrival_s": arrival_s, "interaction": 1 + place // app.calls, "call": 1 + place % app.calls})
    return frame.with_columns(pl.lit(value).alias(name) for name, value in constant.items())


def fifty_clients(trace: pl.DataFrame, app_limit: int = 200, each: int = 100, seed: int = 0) -> pl.DataFrame:
    """Suite ``overload`` as shipped: 50 clients at rates drawn from U(3, 5), the rows of ``trace`` dealt out in blocks.

    Client n sends rows 100 (n - 1) to 100 n. Calls of an application follow one another in a client's block, as many to
    an interaction as the block's first row of that application says. The rates are the artifact's (numpy's seed 42).
    """
    rates = np.random.RandomState(42).uniform(3.0, 5.0, 50)
    if trace.height < each * rates.size:
        raise ValueError(f"50 clients with {each} requests need {each * rates.size} rows, not {trace.height}")
    gaps, rng = np.repeat(1 / rates, each), np.random.default_rng(seed)
    place, client = np.tile(np.arange(each), rates.size), np.repeat(np.arange(1, rates.size + 1), each)
    frame = trace.head(client.size).with_columns(
        client=pl.Series(client),
        arrival_s=pl.Series((np.repeat(rng.random(rates.size), each) + place) * gaps),
        app_limit=pl.lit(app_limit, pl.Int64),
        calls=pl.col("calls").first().over(pl.Series(client), "app"),
    )
    nth = pl.int_range(pl.len()).over("client", "app")
    frame = frame.with_columns(call=1 + nth % pl.col("calls"), _of_app=nth // pl.col("calls"))
    frame = frame.with_columns(interaction=pl.struct("app", "_of_app").rank("dense").over("client"))
    return timetable({**frame.drop("_of_app").to_dict(), "client": "client-" + frame["client"].cast(pl.String)})
