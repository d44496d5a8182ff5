"""VTC, Figure 15: the service difference of two overloaded clients grows with the KV pool (a), and with the length of
requests only until they fill it (b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from exps.figures.claims import Claim, Judge, Verdict, verdict
from exps.figures.figure import Figure, Options, Platform, Record, Sweep
from exps.figures.numbers import Numbers
from exps.figures.pictures import Curves, Draw
from exps.figures.vocabulary import bounded, listed
from exps.papers.vtc.claims import SETTINGS
from exps.papers.vtc.measures import DIFFERENCE

S4 = Platform("llama-13b", "llama-2-13b", "a100-80g", "Llama-2-13B on A100-80G")
DURATION_S, QUICK_S, FROM_S, TICKS = 600.0, 120.0, 120.0, 50
SMALL, LARGE, LENGTH = 35_000, 65_000, 512
RATES_BY_POOL: Mapping[float, tuple[float, float]] = {SMALL: (1.5, 3.0), LARGE: (2.0, 4.0)}
RATES_BY_LENGTH: Mapping[float, tuple[float, float]] = {256: (3.0, 6.0), LENGTH: RATES_BY_POOL[SMALL], 768: (1.0, 2.0)}
TWICE_U = 2 * 2.0 * SMALL


def _timetable(rates: tuple[float, float], length: float, options: Options) -> pl.DataFrame:
    from exps.recorded.recordings import EXTRA_PROMPT_TOKENS
    from exps.workload.vtc import overload_timetable

    duration_s = QUICK_S if options.quick else DURATION_S
    return overload_timetable(rates, int(length) + EXTRA_PROMPT_TOKENS, int(length), duration_s, options.seed)


def by_pool(platform: Platform, kv_tokens: float, options: Options) -> pl.DataFrame:
    """512 prompt and output tokens; suites ``overload-s4-35000-512`` and ``overload-s4-long``."""
    return _timetable(RATES_BY_POOL[kv_tokens], LENGTH, options)


def by_length(platform: Platform, tokens: float, options: Options) -> pl.DataFrame:
    """As many prompt as output tokens; suites ``overload-s4-35000-...``."""
    return _timetable(RATES_BY_LENGTH[tokens], tokens, options)


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, system, x, metric, time_s, value, while requests arrive: service_difference at 50 ticks; its mean and
    largest from 120 s on; mean_since and largest_since, what it moved after 120 s, when both clients have a queue."""
    import numpy as np

    from exps.metrics.service import clients_of, delivered, response_intervals

    rows: list[tuple[object, ...]] = []
    for record in records:
        requests, point = record.requests, record.point
        end_s = float(requests["arrival_s"].max())  # type: ignore[arg-type]
        ticks, from_s = np.linspace(end_s / TICKS, end_s, TICKS), end_s * FROM_S / DURATION_S
        curves = delivered(response_intervals(requests), np.append(ticks, from_s), clients_of(requests))
        apart = curves[1] - curves[0]
        late, key = apart[:-1][ticks >= from_s], (point.platform.name, point.system, point.x)
        for suffix, values in (("", np.abs(late)), ("_since", np.abs(late - apart[-1]))):
            rows += [(*key, f"{name}{suffix}", None, float(value)) for name, value in
                     (("mean", values.mean()), ("largest", values.max()))]
        curve = np.abs(apart[:-1]).tolist()
        rows += [(*key, "service_difference", *pair) for pair in zip(ticks.tolist(), curve, strict=True)]
    schema = {"model": pl.String, "system": pl.String, "x": pl.Float64, "metric": pl.String, "time_s": pl.Float64,
              "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _drawn(name: str, label: str) -> Draw:
    """A curve a value of the axis; a panel a system where there are several."""

    def rows(metrics: pl.DataFrame) -> pl.DataFrame:
        several = metrics["system"].n_unique() > 1
        titled = pl.col("system").replace({"vtc": "VTC"}) if several else pl.lit("")
        return metrics.with_columns(series=pl.format(label, pl.col("x").cast(pl.Int64)), panel=titled)

    return Curves(name, DIFFERENCE, series="series", panels="panel", metric="service_difference", rows=rows).draw


def _grows(metric: str, numbers: Numbers) -> Verdict:
    small, large = numbers.over("vtc", metric, "x", RATES_BY_POOL)
    ratio = large / small
    return verdict(abs(ratio / (LARGE / SMALL) - 1) <= 0.25, f"{small:,.0f} and {large:,.0f}: {ratio:.2f}x")


def _saturates(metric: str, numbers: Numbers) -> Verdict:
    at_256, at_512, at_768 = numbers.over("vtc", metric, "x", RATES_BY_LENGTH)
    return verdict(at_256 < at_512 and abs(at_768 / at_512 - 1) <= 0.25, listed((at_256, at_512, at_768)))


def _bounded(numbers: Numbers) -> Verdict:
    return bounded(max(numbers.over("vtc", "largest", "x", RATES_BY_LENGTH)), TWICE_U)


LIFT = (
    "at 256 tokens client 2 is about 25,000 ahead when the backlog begins, and the lift forgives that for good; without the"
    " lift (`cli.py check vtc/fig15b --system lcf --repeats 10`) the mean rises with the length as published."
)


def _claim(id: str, statement: str, published: str, tolerance: str, judge: Judge, cause: str = "") -> Claim:
    return Claim(id, statement, {S4.name: published}, tolerance, judge, cause)


GROWS = "The {} difference from 120 s on grows as the pool does, 1.86x"
ORDER = "The {} difference at 256 tokens is below that at 512, at 768 about the same"
POOL_CLAIMS = (
    _claim("15a mean", GROWS.format("mean"), "27,000 and 49,000: 1.81x", "25 %", partial(_grows, "mean")),
    _claim("15a largest", GROWS.format("largest"), "51,000 and 89,000: 1.75x", "25 %", partial(_grows, "largest")),
)
LENGTH_CLAIMS = (
    _claim("15b mean", ORDER.format("mean"), "15,000, 27,000, 27,000", "25 %", partial(_saturates, "mean"), LIFT),
    _claim("15b largest", ORDER.format("largest"), "32,000, 51,000, 51,000", "25 %", partial(_saturates, "largest")),
    _claim("15b since", "The same of what the mean difference moves after 120 s", "-", "25 %",
           partial(_saturates, "mean_since")),
    _claim("15b bound", f"All stay below 2U = {TWICE_U:,.0f}", "largest 51,000", "none: a theorem", _bounded),
)
FIG15A = Figure(
    id="vtc/fig15a",
    title="Service difference of two overloaded clients by KV pool",
    platforms=(S4,),
    settings=SETTINGS,
    systems=("vtc",),
    sweep=Sweep("kv_tokens", {S4.name: tuple(RATES_BY_POOL)}),
    calibrations=("session-2023",),
    timetable=by_pool,
    measure=measure,
    draw=_drawn("fig15a", "pool of {} tokens"),
    claims=POOL_CLAIMS,
    point_seconds=1.0,
    point_bytes=250_000,
    kv_tokens=int,
)
FIG15B = replace(
    FIG15A,
    id="vtc/fig15b",
    title="Service difference of two overloaded clients by length of requests",
    sweep=Sweep("tokens", {S4.name: tuple(RATES_BY_LENGTH)}),
    timetable=by_length,
    draw=_drawn("fig15b", "{} tokens each way"),
    claims=LENGTH_CLAIMS,
    kv_tokens=SMALL,
)
