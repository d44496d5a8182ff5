"""VTC, Figures 12, 13 and 18: response times on the real workload of two clients in the middle and the two heaviest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import polars as pl

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.figure import Record
from exps.figures.numbers import Numbers
from exps.figures.pictures import Curves, Draw
from exps.figures.vocabulary import listed
from exps.papers.vtc.claims import claim
from exps.papers.vtc.measures import RESPONSE
from exps.papers.vtc.real import PROFILED, RPM, TITLES, figure, is_recorded, of_recorded, ranks

MIDDLE, HEAVIEST = (13, 14), (26, 27)
TICKS, WINDOW_S = 100, 60.0
FEW_S, LEAST_S, MOST_S = 0.5, 18 * 0.8, 35 * 1.2


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, recorded, metric, rank, requests, time_s, value: response_s and mean_ttft_s (vtc.measures)
    of four clients, by the rank of their number of requests; a client that is missing in a short run has no row."""
    import numpy as np

    from exps.papers.vtc.measures import response_times

    rows: list[tuple[object, ...]] = []
    for record in records:
        end_s, key = record.point.x, (record.point.platform.name, record.point.system)
        middles = np.linspace(end_s / TICKS, end_s, TICKS).tolist()
        for client, requests, rank in ranks(record.requests).iter_rows():
            if rank in (*MIDDLE, *HEAVIEST):
                found = response_times(record.requests, key, client, middles, WINDOW_S, end_s)
                rows += [(*key, is_recorded(record), row[2], rank, requests, *row[4:]) for row in found]
    schema = {"model": pl.String, "system": pl.String, "recorded": pl.Boolean, "metric": pl.String, "rank": pl.Int64,
              "requests": pl.Int64, "time_s": pl.Float64, "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _clients(metrics: pl.DataFrame) -> pl.DataFrame:
    client = pl.format("rank {}: {} requests", pl.col("rank"), pl.col("requests"))
    return metrics.with_columns(client=client, panel=pl.col("system").replace(TITLES)).sort("rank", maintain_order=True)


def _drawn(name: str) -> Draw:
    """A panel a system, a curve a client."""
    return Curves(name, RESPONSE, series="client", panels="panel", metric="response_s", rows=_clients).draw


def waits(numbers: Numbers, system: str) -> list[float]:
    """Mean TTFT of the four clients in seconds, by rank."""
    return [*numbers.each(system, "mean_ttft_s", "rank", least=len(MIDDLE + HEAVIEST)).values()]


def _said(seconds: Sequence[float]) -> str:
    return f"{listed(seconds, '.1f')} s"


def _fast(vtc: str, numbers: Numbers) -> Verdict:
    ours, theirs = waits(numbers, vtc)[:2], waits(numbers, "fcfs")[:2]
    least = min(fcfs / own for own, fcfs in zip(ours, theirs, strict=True))
    return verdict(least >= 10, f"{_said(ours)}; fcfs {_said(theirs)}: {least:.0f}x")


def _alike(numbers: Numbers) -> Verdict:
    theirs = waits(numbers, "fcfs")
    return verdict(min(theirs) >= max(theirs) / 2, _said(theirs))


def _heavy(vtc: str, numbers: Numbers) -> Verdict:
    ours = waits(numbers, vtc)
    return verdict(min(ours[2:]) >= 10 * max(ours[:2]), _said(ours))


def _isolation(number: int, vtc: str, fast: str, alike: str, heavy: str) -> tuple[Claim, ...]:
    return (
        claim(f"{number} fast", "The clients of rank 13 and 14 wait ten times less than under FCFS", fast, "none",
              partial(_fast, vtc)),
        claim(f"{number} alike", "Under FCFS all four clients wait: none less than half of the longest", alike, "none",
              _alike),
        claim(f"{number} heavy", "Only the two heaviest wait: ten times longer than the others", heavy, "none",
              partial(_heavy, vtc)),
    )


def _rises(numbers: Numbers) -> Verdict:
    *limited, fcfs = means = [sum(waits(numbers, system)) / 4 for system in (*RPM.values(), "fcfs")]
    return verdict(means == sorted(means), f"{_said(limited)}; fcfs {fcfs:.1f} s")


def _ends(numbers: Numbers) -> Verdict:
    first, last = waits(numbers, RPM[5]), waits(numbers, RPM[30])
    holds = max(first) <= FEW_S and min(last) >= LEAST_S and max(last) <= MOST_S
    return of_recorded(numbers, verdict(holds, f"{_said(first)}; {_said(last)}"))


LIMITED = (
    claim("13 rises", "The mean response time of the four rises with the limit and stays below FCFS's",
          "0.2 s to 18-35 s; fcfs 59 s", "none", _rises),
    claim("13 ends", "Limit 5 answers at once, limit 30 makes all four clients wait", "0.2 s; 18 to 35 s",
          f"at most {FEW_S} s; 20 %", _ends),
)
TITLE = "Response times of four clients of the real workload"
RESPONSE_FIGURES = (
    figure("fig12", f"{TITLE} under FCFS and VTC", ("fcfs", "vtc"), measure, _drawn("fig12"),
           _isolation(12, "vtc", "2.9, 3.4 s; fcfs 77, 55 s", "77, 55, 58, 46 s", "2.9, 3.4, 135, 68 s")),
    figure("fig13", f"{TITLE} under RPM limits", (*RPM.values(), "fcfs"), measure, _drawn("fig13"), LIMITED),
    figure("fig18", f"{TITLE} by the profiled cost", ("fcfs", PROFILED), measure, _drawn("fig18"),
           _isolation(18, PROFILED, "-", "77, 55, 58, 46 s", "-")),
)
