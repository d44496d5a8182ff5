"""How far a figure's numbers move, and how often its claims hold, when its runs are repeated under small doubts.

Each repeat moves every arrival by up to 20 ms and all decode steps by one factor within 1 % (exps.validate.perturb): less
than the simulator can claim to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from engine.errors import InputError
from exps.claims import FAILS, HOLDS, Judgement, judge
from exps.figure import Options, Point, Selection
from exps.records import Record
from exps.registry import expand, find_figure
from exps.report import Reporter, provenance
from exps.runner import setup_of
from exps.serving import SIM
from exps.simulation import simulate
from exps.validate.perturb import perturbed_deployment, perturbed_timetable


@dataclass(frozen=True)
class Repeat:
    """One repeat of all points of a figure."""

    metrics: pl.DataFrame
    judgements: list[Judgement]


def repeat_all(name: str, points: Sequence[Point], options: Options, number: int) -> Repeat:
    """All points of the figure called ``name``, with the same doubts for every system: they depend on ``number`` only."""
    figure = find_figure(name)
    timetables = {(point.platform, point.x): figure.timetable(point.platform, point.x, options) for point in points}
    records, source = [], {"configuration": {"workload": {"source": options.workload_source}}}
    for point in points:
        rng, setup = np.random.default_rng(number), setup_of(point, options)
        sent = perturbed_timetable(timetables[point.platform, point.x], rng)
        found = simulate(sent, setup, perturbed_deployment(setup.deployment(), rng))
        records.append(Record(point, found.requests, found.steps, source))
    metrics = figure.measure(records)
    return Repeat(metrics, judge(figure.claims, metrics, {point.platform: (1, 1) for point in points}))


def band(repeats: Sequence[Repeat]) -> pl.DataFrame:
    """Least, mean and most of every single value of the metrics; curves over time are left out."""
    frames = pl.concat([repeat.metrics for repeat in repeats])
    if "value" not in frames.columns:
        return pl.DataFrame()
    single = frames.filter(pl.col("time_s").is_null()).drop("time_s") if "time_s" in frames.columns else frames
    keys = [name for name in single.columns if name not in ("value", "model")]
    value = pl.col("value")
    return single.group_by(keys, maintain_order=True).agg(least=value.min(), mean_of_all=value.mean(), most=value.max())


def verdicts(repeats: Sequence[Repeat]) -> pl.DataFrame:
    """Of each claim, how many repeats it holds in, and the numbers of the first."""
    rows = []
    for same in zip(*(repeat.judgements for repeat in repeats), strict=True):
        held = sum(row.verdict == HOLDS for row in same)
        said = {"claim": same[0].claim, "published": same[0].published, "ours, first": same[0].ours}
        rows.append({**said, "holds": f"{held} of {len(same)}"})
    return pl.DataFrame(rows)


def command(name: str, selection: Selection, options: Options, repeats: int, report: Reporter) -> bool:
    """Repeat a simulated figure and print the bands of its values and how often each claim holds; True when each holds in
    most repeats. InputError where the points are not simulated."""
    figure = find_figure(name)
    points, settled = expand(figure, selection, options)
    if settled.backend != SIM:
        raise InputError(f"only simulations are repeated under small doubts; leave --repeats out, or use --backend {SIM}.")
    tasks = (delayed(repeat_all)(figure.id, points, settled, number) for number in range(repeats))
    found = []
    with report.progress(repeats) as advance:
        for repeat in Parallel(n_jobs=-1, return_as="generator")(tasks):
            found.append(repeat)
            advance()
    caption = provenance(settled, points)
    if not (values := band(found)).is_empty():
        report.frame(f"{figure.id}: values of {repeats} repeats", values, caption)
    report.frame(f"{figure.id}: claims in {repeats} repeats", verdicts(found), caption)
    return all(2 * holding(same) > repeats for same in zip(*(repeat.judgements for repeat in found), strict=True))


def holding(same: Sequence[Judgement]) -> int:
    """In how many repeats a claim holds, or cannot be judged."""
    return sum(row.verdict != FAILS for row in same)
