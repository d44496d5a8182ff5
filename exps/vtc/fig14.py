"""VTC, Figure 14: the throughput of request limits, beside VTC's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.figure import Record
from exps.vtc.claims import PLATFORM
from exps.vtc.real import LIMITS, RPM, figure, is_recorded, of_recorded
from exps.vtc.table_rows import TABLE2

SERVED = {5: 581, 10: 900, 15: 1053, 20: 1158, 30: 1324}
PUBLISHED = {limit: row.tokens_per_s for limit, name in RPM.items() for row in TABLE2.rows if row.system == name}
PUBLISHED_VTC = next(row.tokens_per_s for row in TABLE2.rows if row.title == "VTC")


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, recorded, limit (null without one), served, tokens_per_s: prompt and output tokens of accepted
    requests over the whole run, the backlog's drain included."""
    limits = {name: limit for limit, name in RPM.items()}
    rows = []
    for record in records:
        served = record.requests.filter(pl.col("status") == "finished")
        tokens = served.select((pl.col("prompt_tokens") + pl.col("output_tokens")).sum()).item()
        system, name = record.point.system, record.point.platform.name
        key = (name, system, is_recorded(record), limits.get(system))
        rows.append((*key, served.height, tokens / served["finished_s"].max()))
    schema = {"model": pl.String, "system": pl.String, "recorded": pl.Boolean, "limit": pl.Int64, "served": pl.Int64,
              "tokens_per_s": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema, orient="row")


def draw(metrics: pl.DataFrame, caption: str, folder: Path, suffix: str) -> list[Path]:
    """Throughput by limit; VTC's as a line."""
    from plots.curves import Axis, Bound, sweep_curves

    without = metrics.filter(pl.col("limit").is_null()).select("system", "tokens_per_s").iter_rows()
    published_too = {"vtc": f", published {PUBLISHED_VTC:.0f}"}
    names = {"vtc": "VTC"}
    bounds = [Bound(v, f"{names.get(s, s)} {v:.0f}{published_too.get(s, '')}") for s, v in without]
    limited = metrics.drop_nulls("limit").with_columns(series=pl.lit("RPM"))
    published = pl.DataFrame({"series": "RPM", "limit": list(PUBLISHED), "tokens_per_s": [*map(float, PUBLISHED.values())]})
    return list(
        sweep_curves(
            limited,
            published,
            x=Axis("limit", "Requests a minute and client"),
            y=Axis("tokens_per_s", "Tokens per second", limits=(0, 900)),
            path=folder / f"fig14-{suffix}",
            series="series",
            bounds=bounds,
            footer=caption,
        )
    )


def _of_limits(metrics: pl.DataFrame, column: str) -> dict[int, float]:
    """Empty when a limit is missing."""
    found = dict(metrics.drop_nulls("limit").sort("limit").select("limit", column).iter_rows())
    return found if len(found) == len(LIMITS) else {}


def _rises(metrics: pl.DataFrame) -> Verdict:
    vtc = metrics.filter(pl.col("system") == "vtc")["tokens_per_s"].to_list()
    speeds = [*_of_limits(metrics, "tokens_per_s").values(), *vtc]
    if len(speeds) <= len(LIMITS):
        return missing("VTC and every limit")
    return verdict(speeds == sorted(speeds), f"{_said(speeds[:-1])}; VTC {speeds[-1]:.0f}")


def _half(metrics: pl.DataFrame) -> Verdict:
    pair = [metrics.filter(pl.col("system") == system)["tokens_per_s"].to_list() for system in (RPM[LIMITS[0]], "vtc")]
    if [] in pair:
        return missing(f"VTC and {RPM[LIMITS[0]]}")
    (least,), (vtc,) = pair
    return verdict(least < vtc / 2, f"{least:.0f} / {vtc:.0f} = {least / vtc:.2f}")


def _near(metrics: pl.DataFrame, column: str, published: dict[int, float], tolerance: float) -> Verdict:
    ours = _of_limits(metrics, column)
    if not ours:
        return missing("every limit")
    off = max(abs(value / published[limit] - 1) for limit, value in ours.items())
    return of_recorded(metrics, verdict(off <= tolerance, f"{_said(ours.values())} ({100 * off:.1f} % off)"))


def _said(values: object) -> str:
    return ", ".join(f"{value:.0f}" for value in values)  # type: ignore[attr-defined]


CLAIMS = (
    Claim("14 rises", "Throughput rises with the limit and stays below VTC's",
          {PLATFORM: f"{_said(PUBLISHED.values())}; VTC {PUBLISHED_VTC}"}, "none", _rises),
    Claim("14 half", "Limit 5 has less than half of VTC's throughput",
          {PLATFORM: f"{PUBLISHED[5]} / {PUBLISHED_VTC} = {PUBLISHED[5] / PUBLISHED_VTC:.2f}"}, "none", _half),
    Claim("14 throughput", "Throughput of each limit", {PLATFORM: _said(PUBLISHED.values())}, "5 %",
          lambda metrics: _near(metrics, "tokens_per_s", PUBLISHED, 0.05)),
    Claim("14 served", "Requests accepted under each limit", {PLATFORM: _said(SERVED.values())}, "5 %",
          lambda metrics: _near(metrics, "served", dict(SERVED), 0.05)),
)  # fmt: skip
FIG14 = figure("fig14", "Throughput of request limits beside VTC on the real workload", (*RPM.values(), "vtc"), measure, draw,
               CLAIMS)  # fmt: skip
