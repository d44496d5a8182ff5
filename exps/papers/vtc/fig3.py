"""VTC, Figure 3: two clients that overload the server; service difference (3a) and service rate (3b) over time."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Sweep
from exps.figures.pictures import Caption
from exps.papers.vtc.claims import CALIBRATIONS, CLAIMS, LONGEST_INPUT, PLATFORM, POOL_TOKENS, SETTINGS, U
from exps.papers.vtc.measures import over_time
from exps.run.local import LOCAL
from plots.axes import Axis, Bound

S1 = Platform(PLATFORM, "llama-2-7b", "a10g", "Llama-2-7B on A10G")
WINDOWS = 10
LABELS = {"client-1": "client 1 (1.5 requests/s)", "client-2": "client 2 (3 requests/s)"}
LOCAL_LABELS = {"client-1": "client 1", "client-2": "client 2 (twice the rate)"}
SERVED_RPS = 1.65
OVERLOAD = (1.5 / SERVED_RPS, 3.0 / SERVED_RPS)
AT_ONCE, LOCAL_S, LOCAL_QUICK_S, AFTER = 100, 60.0, 12.0, 1.2


def timetable(platform: Platform, duration_s: float, options: Options) -> pl.DataFrame:
    """Suite ``overload``; the server's tokenizer adds its tokens to each prompt.

    On the machine at hand the clients' rates have the same ratio to what it can serve.
    """
    if platform.local:
        return _local(platform, duration_s, options)
    from exps.recorded.recordings import EXTRA_PROMPT_TOKENS
    from exps.workload.vtc import overload_timetable

    return overload_timetable(prompt_tokens=256 + EXTRA_PROMPT_TOKENS, duration_s=duration_s, seed=options.seed)


def _local(platform: Platform, duration_s: float, options: Options) -> pl.DataFrame:
    from exps.run.local import capacity_rps, measured, three_digits
    from exps.run.native.models import load_prompts
    from exps.workload.vtc import overload_timetable

    measured(platform, options)
    texts = load_prompts(platform.model, options.weights).lengths()
    long = [number for of_kind in texts.values() for number, tokens in of_kind if tokens >= LONGEST_INPUT]
    at_once = overload_timetable((float(AT_ONCE),), duration_s=1.0, seed=options.seed)
    most = capacity_rps(at_once, "fcfs", platform, options, POOL_TOKENS)
    rates = [three_digits(share * most) for share in OVERLOAD]
    made = overload_timetable(rates, duration_s=duration_s, seed=options.seed)
    return made.with_columns(prompt=pl.Series([long[row % len(long)] for row in range(made.height)], dtype=pl.Int64))


def draw(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """3a for every system; 3b for VTC where it was run. The published curves stand beside their own platform only."""
    from exps.figures.published import read_published
    from plots.curves import curves

    theirs = set(metrics["model"]) == {S1.name}
    time = Axis("time_s", "Time (s)", limits=(0, None))
    differences = metrics.filter(pl.col("metric") == "service_difference").rename({"value": "service_difference"})
    paths = curves(
        differences,
        read_published("vtc", "fig3a") if theirs else None,
        x=time,
        y=Axis("service_difference", "Service difference", limits=(0, None)),
        path=folder / f"fig3a-{suffix}",
        series="system",
        bounds=[Bound(2 * U, "2U, the bound of Theorem 4.4")],
        footer=caption(differences),
    )
    rates = metrics.filter((pl.col("metric") == "service_per_s") & (pl.col("system") == "vtc"))
    if rates.is_empty():
        return list(paths)
    return list(paths) + list(
        curves(
            rates.rename({"value": "service_per_s"}),
            read_published("vtc", "fig3b").filter(pl.col("system") == "vtc") if theirs else None,
            x=time,
            y=Axis("service_per_s", "Service per second", limits=(0, None)),
            path=folder / f"fig3b-{suffix}",
            series="client",
            labels=LABELS if theirs else LOCAL_LABELS,
            footer=caption(rates),
        )
    )


FIG3 = Figure(
    id="vtc/fig3",
    title="Service of two overloaded clients over time",
    platforms=(S1, *LOCAL),
    settings=SETTINGS,
    systems=("vtc", "fcfs"),
    sweep=Sweep("duration_s", {S1.name: (600.0,)}, quick=(60.0,)),
    calibrations=CALIBRATIONS,
    timetable=timetable,
    measure=over_time(lambda end_s: end_s / WINDOWS),
    draw=draw,
    claims=CLAIMS,
    point_seconds=1.5,
    point_bytes=400_000,
    record_steps=True,
    kv_tokens=POOL_TOKENS,
    local_values=lambda _, options: (LOCAL_QUICK_S if options.quick else LOCAL_S,),
    until_s=lambda duration_s: AFTER * duration_s,
)
