"""How far a figure's numbers move, and how often its claims hold, when its runs are repeated under small doubts.

The first run is as it is. Each other one moves every arrival by up to 20 ms, all decode steps by one factor within 1 % and
the server's cold start by up to what was recorded (exps.recorded.perturb), and draws anew which draft tokens are accepted:
less than the simulator can claim to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from engine.errors import InputError
from exps.commands.claims_page import claims_page
from exps.commands.findings import coverage, judged_metrics
from exps.commands.planning import asked_of
from exps.figures.claims import Judgement, any_fails, judge, over_runs
from exps.figures.figure import Figure, Options, Platform, Point, Record, Selection
from exps.recorded.perturb import drawn_cold_start_s, perturbed_deployment, perturbed_timetable
from exps.report import Reporter, provenance
from exps.run.backends import BACKENDS
from exps.run.plan import setup_of
from exps.run.simulation import simulate


@dataclass(frozen=True)
class Asked:
    """The points of a figure, its options, and the selection that gave them."""

    figure: Figure
    points: Sequence[Point]
    options: Options
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True)
class Repeat:
    """One repeat of all points of a figure."""

    metrics: pl.DataFrame
    judgements: list[Judgement]


@dataclass(frozen=True)
class Repeats:
    """All repeats of a figure, and its claims over them."""

    asked: Asked
    runs: list[Repeat]

    def judgements(self) -> list[Judgement]:
        causes = {claim.id: claim.cause_of for claim in self.asked.figure.claims}
        rows = zip(*(run.judgements for run in self.runs), strict=True)
        return [over_runs(same, causes[same[0].claim](same[0].setting or same[0].model)) for same in rows]

    def caption(self) -> str:
        runs = "1 run" if len(self.runs) == 1 else f"{len(self.runs)} runs"
        return f"{provenance(self.asked.options, self.asked.points)} {runs}."


def repeat_all(several: Sequence[Asked], number: int) -> list[Repeat]:
    """Each figure in the repeat of that number; a point that several of them have is simulated once."""
    records: dict[tuple[str, Platform, str, float], Record] = {}
    timetables: dict[tuple[str, Platform, float], pl.DataFrame] = {}
    found = []
    for asked in several:
        figure, options, own = asked.figure, asked.options, []
        for point in asked.points:
            served = point.served
            place = (figure.points_folder, point.platform, served.x)
            if place not in timetables:
                timetables[place] = figure.timetable(point.platform, served.x, options)
            key = (*place[:2], point.system, served.x)
            if key not in records:
                records[key] = _served(timetables[place], served, options, number)
            own.append(replace(records[key], point=point))
        metrics = figure.measure(own)
        published = judged_metrics(figure, asked.selection, own, metrics)
        judged = judge(figure.claims, published, coverage(figure, asked.points, options), options.quick)
        found.append(Repeat(metrics, judged))
    return found


def _served(timetable: pl.DataFrame, point: Point, options: Options, number: int) -> Record:
    """A point under the doubts of a repeat: the same for every system, since they depend on ``number`` only."""
    setup = setup_of(point, options)
    deployment = setup.deployment()
    policies = setup.parameters(deployment)
    if number:
        rng = np.random.default_rng(number)
        deployment = perturbed_deployment(deployment, rng)
        setup = replace(setup, seed=setup.seed + number, cold_start_s=drawn_cold_start_s(rng))
        timetable = perturbed_timetable(timetable, rng)
    found = simulate(timetable, setup, deployment)
    configuration = {"workload": {"source": options.workload_source}, "policies": policies}
    return Record(point, found.requests, found.steps, {"configuration": configuration, "facts": found.facts})


def repeats(name: str, selection: Selection, options: Options, number: int, report: Reporter) -> list[Repeats]:
    """``number`` repeats of a figure or of all, spread over the cores. InputError where points are not simulated."""
    asked = [Asked(*found) for found in asked_of(name, selection, options)]
    if any(not BACKENDS[one.options.backend].simulates for one in asked):
        raise InputError("only simulations are repeated under small doubts; leave --repeats out, or use --backend sim.")
    groups: dict[str, list[Asked]] = {}
    for one in asked:
        groups.setdefault(one.figure.points_folder, []).append(one)
    tasks = [(group, run) for group in groups.values() for run in range(number)]
    runs: dict[str, list[Repeat]] = {}
    with report.progress(len(tasks)) as advance:
        for (group, _), found in zip(tasks, _in_parallel(tasks), strict=True):
            for one, repeat in zip(group, found, strict=True):
                runs.setdefault(one.figure.id, []).append(repeat)
            advance()
    return [Repeats(one, runs[one.figure.id]) for one in asked]


def _in_parallel(tasks: Sequence[tuple[list[Asked], int]]) -> Iterator[list[Repeat]]:
    """Of each task in its order, as they come."""
    found: Iterator[list[Repeat]] = Parallel(n_jobs=-1, batch_size=1, return_as="generator")(
        delayed(repeat_all)(group, run) for group, run in tasks
    )
    return found


def band(runs: Sequence[Repeat]) -> pl.DataFrame:
    """Least, mean and most of every single value of the metrics; curves over time are left out."""
    frames = pl.concat([run.metrics for run in runs])
    if "value" not in frames.columns:
        return pl.DataFrame()
    single = frames.filter(pl.col("time_s").is_null()).drop("time_s") if "time_s" in frames.columns else frames
    keys = [name for name in single.columns if name not in ("value", "model")]
    value = pl.col("value")
    return single.group_by(keys, maintain_order=True).agg(least=value.min(), mean_of_all=value.mean(), most=value.max())


def check_repeatedly(
    name: str,
    selection: Selection,
    options: Options,
    number: int,
    report: Reporter,
    as_json: bool = False,
    as_page: bool = False,
) -> bool:
    """Repeat simulated figures and print how often each claim holds, and the bands of their values; True when none fails."""
    if options.quick:
        raise InputError("a quick run judges nothing, however often; leave --quick or --repeats out.")
    found = repeats(name, selection, options, number, report)
    if as_json:
        report.json([as_document(one) for one in found])
    elif as_page:
        report.say(claims_page([(one.asked.figure, one.judgements(), one.caption()) for one in found]))
    else:
        for one in found:
            _show(one, report)
    return not any(any_fails(one.judgements()) for one in found)


def as_document(found: Repeats) -> dict[str, object]:
    """What `check --repeats --json` says of one figure."""
    rows = [row.as_dict() for row in found.judgements()]
    return {"figure": found.asked.figure.id, "source": found.caption(), "claims": rows}


def _show(found: Repeats, report: Reporter) -> None:
    figure, caption = found.asked.figure, found.caption()
    if not (values := band(found.runs)).is_empty():
        report.frame(f"{figure.id}: values of {len(found.runs)} runs", values, caption)
    report.claims(figure, found.judgements(), caption)
