"""FairServe's overload suites: two clients of different applications at constant rates, and fifty of the trace's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.pictures import Bars, by_limit
from exps.papers.fairserve import suite_claims as claims
from exps.papers.fairserve.measures import Rows, of_points, totals
from exps.papers.fairserve.points import FAIRSERVE, LIMIT, RPM, TITLES, VTC, WL, limited, workload
from exps.papers.fairserve.server import CALIBRATION, PACED, PLATFORMS, SETTINGS
from exps.papers.fairserve.tables import COUNTS, RATES

RATES_OF = {1.0: (0.5, 0.5), 6.0: (3.0, 3.0), 24.0: (16.0, 8.0)}
DURATION_S, QUICK_S = 60.0, 20.0
EACH, QUICK_EACH = 100, 20
CALM, UNLIMITED = 1.0, 1000
SMALL_POOL = 10_000
BACKLOGGED = (15.0, 60.0)
SYSTEMS = (VTC, FAIRSERVE, claims.UNPREFERRED, RPM, WL)
SERVICES = {"weighted": "Weighted tokens per s", "normalised": "Normalised service per s"}
OF_FIFTY = {name: {**COUNTS, **RATES}[name] for name in ("aborted_requests", "wasted_prompt_tokens", "requests_per_s",
                                                       "mean_ttft_s")}
NAMES = {**TITLES, claims.UNPREFERRED: "FairServe, nobody preferred"}


def two_clients(platform: Platform, rps: float, options: Options) -> pl.DataFrame:
    """Client 1 sends calls of 200 + 100 tokens, four to an interaction, client 2 single ones of 50 + 50."""
    from exps.workload.fairserve import overload_timetable

    duration_s = QUICK_S if options.quick else DURATION_S
    return overload_timetable(RATES_OF[rps], duration_s=duration_s, app_limit=UNLIMITED, seed=options.seed)


def limit_at(rps: float) -> Mapping[str, Mapping[str, Any]]:
    """A limit far below the calm rates of 30 a minute, and none that matters at the others."""
    return limited(10.0 if rps == CALM else UNLIMITED)


def of_two(record: Record) -> Rows:
    """One row: aborted_requests, and of each client, while both wait, weighted_1 and weighted_2 (VTC's service a second) and
    normalised_1 and normalised_2 (FairServe's counter a second), requests charged where they finish."""
    from exps.metrics.interactions import aborts, whole_charge

    begin, end = BACKLOGGED
    done = record.requests.filter(pl.col("finished_s").is_between(begin, end))
    service = pl.col("prompt_tokens") + 2 * pl.col("output_tokens")
    row: dict[str, Any] = {**aborts(record.requests)}
    for number in (1, 2):
        own = done.filter(client=f"client-{number}")
        row[f"weighted_{number}"] = own.select(service.sum()).item() / (end - begin)
        row[f"normalised_{number}"] = own.select(whole_charge().sum()).item() / (end - begin)
    return [row]


def _both(metrics: pl.DataFrame) -> pl.DataFrame:
    """Service of the clients by both measures at the highest rate."""
    names = [f"{panel}_{number}" for panel in SERVICES for number in (1, 2)]
    rows = metrics.filter(pl.col("rps") == metrics["rps"].max()).unpivot(on=names, index="system", variable_name="of")
    return rows.select("value", series="system", panel=pl.col("of").str.head(-2), group="client " + pl.col("of").str.tail(1))


def fifty(platform: Platform, limit: float, options: Options) -> pl.DataFrame:
    """The first 5,000 requests of the workload, dealt out to fifty clients."""
    from exps.workload.fairserve import fifty_clients

    each = QUICK_EACH if options.quick else EACH
    return fifty_clients(workload(options.traces, options.seed), each=each, seed=options.seed)


OVERLOAD2 = Figure(
    id="fairserve/overload2",
    title="Two clients of different applications: calm, loaded and overloaded",
    platforms=PLATFORMS,
    settings=(PACED,),
    systems=SYSTEMS,
    sweep=Sweep("rps", {PACED.name: tuple(RATES_OF)}, listed=True),
    calibrations=(CALIBRATION,),
    timetable=two_clients,
    policies=limit_at,
    measure=of_points(of_two),
    draw=Bars("overload2", SERVICES, "16 and 8 requests a second", NAMES, _both, by_setting=True).draw,
    claims=claims.OVERLOAD2,
    point_seconds=0.5,
    point_bytes=100_000,
    kv_tokens=SMALL_POOL,
)
OVERLOAD50 = Figure(
    id="fairserve/overload50",
    title="Fifty clients at 3 to 5 requests a second each",
    platforms=PLATFORMS,
    settings=SETTINGS,
    systems=(RPM, VTC, FAIRSERVE),
    sweep=Sweep("limit", {setting.name: (LIMIT,) for setting in SETTINGS}),
    calibrations=(CALIBRATION,),
    timetable=fifty,
    policies=limited,
    measure=of_points(totals),
    draw=Bars("overload50", OF_FIFTY, "Limit a minute", TITLES, by_limit(OF_FIFTY), by_setting=True).draw,
    claims=claims.OVERLOAD50,
    point_seconds=1.0,
    point_bytes=300_000,
    kv_tokens=SMALL_POOL,
    has_traces=True,
)
SUITES = (OVERLOAD2, OVERLOAD50)
