"""VTC, Figure 19 and Tables 5 and 6: what knowing the answer's length is worth, with 2 and with 8 overloaded clients."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.claims import Claim, Verdict
from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Curves
from exps.figures.vocabulary import ascending, listed, near
from exps.papers.vtc.claims import CALIBRATIONS, POOL_TOKENS, SETTINGS, claim
from exps.papers.vtc.fig3 import S1
from exps.papers.vtc.measures import DIFFERENCE

DURATION_S, QUICK_S = 360.0, 90.0
RATES = {2.0: (1.5, 3.0), 8.0: (0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6)}
ARTIFACT = "vtc,order=vtc(lift_from_empty=false,duplicate_charge=true)"
TITLES = {"fcfs": "FCFS", "vtc": "VTC", ARTIFACT: "VTC, the artifact's charges", "vtc-pred-50": "VTC, lengths within 50 %",
          "vtc-oracle": "VTC, lengths known"}
TABLES = {2.0: "Table 5", 8.0: "Table 6"}
PUBLISHED = {
    2.0: {"fcfs": (447.37, 439.00), ARTIFACT: (192.88, 103.77), "vtc-pred-50": (33.98, 12.54), "vtc-oracle": (5.87, 0.51)},
    8.0: {"fcfs": (247.88, 230.81), ARTIFACT: (322.16, 162.20), "vtc-pred-50": (99.43, 66.32), "vtc-oracle": (43.23, 36.34)},
}
SCHEMA = ("model", "system", "clients", "metric", "time_s", "value")


def timetable(platform: Platform, clients: float, options: Options) -> pl.DataFrame:
    """Suites ``overload`` and ``overload-multi``."""
    from exps.recorded.recordings import EXTRA_PROMPT_TOKENS
    from exps.workload.vtc import overload_timetable

    duration_s = QUICK_S if options.quick else DURATION_S
    return overload_timetable(RATES[clients], 256 + EXTRA_PROMPT_TOKENS, 256, duration_s, options.seed)


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, clients, metric, time_s, value: the tables' largest, mean, variance and tokens_per_s, and
    service_difference at 20 ticks while requests arrive."""
    import numpy as np

    from exps.metrics.service import accumulated_difference, clients_of, response_intervals
    from exps.metrics.tables import service_differences

    rows: list[tuple[object, ...]] = []
    for record in records:
        requests, point = record.requests, record.point
        key = (point.platform.name, point.system, point.x)
        end_s, total_s = requests["arrival_s"].max(), requests["finished_s"].max()
        found = service_differences(requests, total_s)  # type: ignore[arg-type]
        for name in ("largest", "mean", "variance", "tokens_per_s"):
            rows.append((*key, name, None, getattr(found, name)))
        ticks = np.linspace(end_s / 20, end_s, 20)  # type: ignore[operator, arg-type]
        curve = accumulated_difference(response_intervals(requests), ticks, clients_of(requests))
        rows += [(*key, "service_difference", *pair) for pair in zip(ticks.tolist(), curve.tolist(), strict=True)]
    return pl.DataFrame(rows, dict.fromkeys(SCHEMA[:2], pl.String) | {"clients": pl.Float64, "metric": pl.String,
                        "time_s": pl.Float64, "value": pl.Float64}, orient="row")


def _shown(metrics: pl.DataFrame) -> pl.DataFrame:
    """A panel for each number of clients; what knows nothing of the length is far above."""
    rows = metrics.filter(~pl.col("system").is_in(["fcfs", ARTIFACT]))
    return rows.with_columns(panel=pl.format("{} clients", pl.col("clients").cast(pl.Int64)))


def _order(clients: float) -> Claim:
    """By mean difference: the better the length is known, the smaller."""
    ranked = ("vtc-oracle", "vtc-pred-50", ARTIFACT, "fcfs")

    def judge(numbers: Numbers) -> Verdict:
        return ascending([numbers.at(system, "mean", clients=clients) for system in ranked], ".1f")

    published = listed((PUBLISHED[clients][system][1] for system in ranked), ".1f", " < ")
    statement = "Mean difference: lengths known < within 50 % < unknown < FCFS"
    return claim(f"{TABLES[clients]} order", statement, published, "none", judge)


def _near(clients: float, system: str) -> Claim:
    largest, mean = PUBLISHED[clients][system]

    def judge(numbers: Numbers) -> Verdict:
        ours = [numbers.at(system, metric, clients=clients) for metric in ("largest", "mean")]
        return near(ours, (largest, mean), 0.2, ".2f")

    statement = f"{TITLES[system]}: largest and mean difference"
    return claim(f"{TABLES[clients]} {system.split(',')[0]}", statement, f"{largest}, {mean}", "20 %", judge)


def _claims(clients: float) -> list[Claim]:
    return [_order(clients), *(_near(clients, system) for system in PUBLISHED[clients])]


FIG19 = Figure(
    id="vtc/fig19",
    title="Service difference where the answer's length is known, guessed and unknown (Tables 5 and 6)",
    platforms=(S1,),
    settings=SETTINGS,
    systems=("fcfs", "vtc", ARTIFACT, "vtc-pred-50", "vtc-oracle"),
    sweep=Sweep("clients", {S1.name: tuple(RATES)}),
    calibrations=CALIBRATIONS,
    timetable=timetable,
    measure=measure,
    draw=Curves("fig19", DIFFERENCE, panels="panel", labels=TITLES, metric="service_difference", rows=_shown).draw,
    claims=tuple(claim for clients in RATES for claim in _claims(clients)),
    point_seconds=1.5,
    point_bytes=200_000,
    kv_tokens=POOL_TOKENS,
)
