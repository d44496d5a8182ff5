"""VTC, Figure 14: the throughput of request limits, beside VTC's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import polars as pl

from exps.figures.claims import Verdict, verdict
from exps.figures.figure import Record
from exps.figures.numbers import Numbers
from exps.figures.pictures import Curves
from exps.figures.vocabulary import fraction, listed, near_in_all
from exps.metrics.statuses import FINISHED
from exps.papers.vtc.claims import claim
from exps.papers.vtc.real import LIMITS, RPM, figure, is_recorded, of_recorded
from exps.papers.vtc.table_rows import TABLE2
from plots.axes import Axis, Bound

SERVED = {5: 581, 10: 900, 15: 1053, 20: 1158, 30: 1324}
PUBLISHED = {limit: row.tokens_per_s for limit, name in RPM.items() for row in TABLE2.rows if row.system == name}
PUBLISHED_VTC = next(row.tokens_per_s for row in TABLE2.rows if row.title == "VTC")


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, recorded, limit (null without one), served, tokens_per_s: prompt and output tokens of accepted
    requests over the whole run, the backlog's drain included."""
    limits = {name: limit for limit, name in RPM.items()}
    rows = []
    for record in records:
        served = record.requests.filter(FINISHED)
        tokens = served.select((pl.col("prompt_tokens") + pl.col("output_tokens")).sum()).item()
        system, name = record.point.system, record.point.platform.name
        key = (name, system, is_recorded(record), limits.get(system))
        rows.append((*key, served.height, tokens / served["finished_s"].max()))
    schema = {"model": pl.String, "system": pl.String, "recorded": pl.Boolean, "limit": pl.Int64, "served": pl.Int64,
              "tokens_per_s": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _lines(metrics: pl.DataFrame) -> list[Bound]:
    """Systems without a limit."""
    published, names = {"vtc": f", published {PUBLISHED_VTC:.0f}"}, {"vtc": "VTC"}
    without = metrics.filter(pl.col("limit").is_null()).select("system", "tokens_per_s").iter_rows()
    return [Bound(speed, f"{names.get(name, name)} {speed:.0f}{published.get(name, '')}") for name, speed in without]


def _published(metrics: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"series": "RPM", "limit": list(PUBLISHED), "tokens_per_s": [*map(float, PUBLISHED.values())]})


draw = Curves(
    "fig14",
    Axis("tokens_per_s", "Tokens per second", (0, 900)),
    Axis("limit", "Requests a minute and client"),
    series="series",
    rows=lambda metrics: metrics.drop_nulls("limit").with_columns(series=pl.lit("RPM")),
    published=_published,
    bounds=_lines,
).draw


def _of_limits(numbers: Numbers, column: str) -> list[float]:
    return [numbers.at(RPM[limit], column) for limit in LIMITS]


def _rises(numbers: Numbers) -> Verdict:
    speeds, vtc = _of_limits(numbers, "tokens_per_s"), numbers.at("vtc", "tokens_per_s")
    return verdict([*speeds, vtc] == sorted([*speeds, vtc]), f"{listed(speeds, '.0f')}; VTC {vtc:.0f}")


def _half(numbers: Numbers) -> Verdict:
    least, vtc = numbers.at(RPM[5], "tokens_per_s"), numbers.at("vtc", "tokens_per_s")
    return verdict(least < vtc / 2, fraction(least, vtc))


def _near(column: str, published: Mapping[int, float], numbers: Numbers) -> Verdict:
    theirs = [published[limit] for limit in LIMITS]
    return of_recorded(numbers, near_in_all(_of_limits(numbers, column), theirs, 0.05))


CLAIMS = (
    claim("14 rises", "Throughput rises with the limit and stays below VTC's",
          f"{listed(PUBLISHED.values(), '.0f')}; VTC {PUBLISHED_VTC}", "none", _rises),
    claim("14 half", "Limit 5 has less than half of VTC's throughput", fraction(PUBLISHED[5], PUBLISHED_VTC), "none", _half),
    claim("14 throughput", "Throughput of each limit", listed(PUBLISHED.values(), ".0f"), "5 %",
          partial(_near, "tokens_per_s", PUBLISHED)),
    claim("14 served", "Requests accepted under each limit", listed(SERVED.values(), ".0f"), "5 %",
          partial(_near, "served", SERVED)),
)
FIG14 = figure("fig14", "Throughput of request limits beside VTC on the real workload", (*RPM.values(), "vtc"), measure, draw,
               CLAIMS)
